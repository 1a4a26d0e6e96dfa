"""MTRegression: ten tasks alike but for the scale of their losses."""

import dataclasses
import math
from typing import ClassVar

import keras
import numpy as np

from keras_mtl import MultiTaskModel, weighters
from keras_mtl.checks import integer, one_of
from keras_mtl.lab.datasets.mt_regression import (
    NUM_INPUTS,
    NUM_OUTPUTS,
    generate,
)
from keras_mtl.lab.experiments.experiment import LATER, Experiment
from keras_mtl.lab.experiments.mixtures import ARCHITECTURES, around
from keras_mtl.lab.experiments.parts import Parts, Score

IDEAL = "ideal_constant"
# Steps after which the error of the weights is reported.
ERROR_STEPS = (1, 100, 500, 1_000, 2_000)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MTRegressionExperiment(Experiment):
    """Section 4.1 of Crawshaw and Kosecka, 2021.

    The weighter `ideal_constant` knows the scales: its fixed weights are in
    proportion to `1 / sigma_k ** 2`.

    Args:
        architecture: String, `"shared_bottom"`; or `"mmoe"`, `"ple"` or
            `"cross_stitch"`, with experts or towers like it.
        num_tasks: Integer, K.
        num_train: Integer, training samples.
        num_test: Integer, test samples.
        **kwargs: As in `Experiment`.
    """

    name = "mtregression"
    score = Score("normalised_loss", "normalised loss", higher_is_better=False)
    own_weighters = (IDEAL,)
    has_validation = False
    architectures: ClassVar[tuple] = ARCHITECTURES

    epochs: int = 300
    batch_size: int = 304
    learning_rate: float = 7e-4
    num_tasks: int = 10
    num_train: int = 9_000
    num_test: int = 1_000
    architecture: str = dataclasses.field(
        default="shared_bottom", metadata=LATER
    )

    def __post_init__(self):
        for name in ("num_tasks", "num_train", "num_test"):
            self._set(**{name: integer(name, getattr(self, name), 1)})
        one_of("architecture", self.architecture, ARCHITECTURES)
        super().__post_init__()

    def load(self):
        """Generates the data."""
        total = self.num_train + self.num_test
        x, y = generate(self.seed, self.num_tasks, total)
        train, test = (
            (x[rows], {task: labels[rows] for task, labels in y.items()})
            for rows in (slice(self.num_train), slice(self.num_train, None))
        )
        scales = {task: sigma for sigma, task in enumerate(y, start=1)}
        return Parts(train, test, prepared=scales)

    def build(self, parts):
        """Returns four layers of 100 and a linear head for each task."""
        layers = [
            keras.layers.Dense(
                100,
                activation="tanh",
                kernel_initializer=orthogonal(),
                name=f"dense_{number}",
            )
            for number in range(1, 5)
        ]
        if self.architecture == "shared_bottom":
            inputs = hidden = keras.Input((NUM_INPUTS,), name="x")
            for layer in layers:
                hidden = layer(hidden)
            encoder = keras.Model(inputs, hidden, name="encoder")
        else:
            encoder = around(self.architecture, [*parts.train[1]], layers)
        heads = {
            task: keras.layers.Dense(
                NUM_OUTPUTS, kernel_initializer=orthogonal(), name=task
            )
            for task in parts.train[1]
        }
        return MultiTaskModel(encoder, heads)

    def compile(self, model):
        """Compiles with Adam and mean squared errors."""
        optimizer = keras.optimizers.Adam(
            self.learning_rate, epsilon=1e-5, global_clipnorm=0.5
        )
        model.compile(optimizer, loss="mse", weighter=self.make_weighter())

    def make_weighter(self):
        """Returns a new weighter; also the one that knows the scales."""
        if self.weighter != IDEAL:
            return super().make_weighter()
        if self.weighter_arguments:
            raise ValueError(
                f"The weighter {IDEAL!r} takes no arguments. Received: "
                f"{self.weighter_arguments!r}"
            )
        weights = ideal_weights(self.num_tasks).tolist()
        return weighters.Constant(weights)

    def evaluate(self, model, parts, task_weights):
        """Returns the normalised loss and the error of the weights."""
        (x, y), scales = parts.test, parts.prepared
        predictions = model.predict(x, batch_size=1_000, verbose=0)
        losses = {
            task: float(
                _normalised_loss(predictions[task], labels, scales[task])
            )
            for task, labels in y.items()
        }
        errors = weight_errors(task_weights)
        return {
            "normalised_loss": float(np.mean(list(losses.values()))),
            "normalised_loss_by_task": losses,
            "loss_weight_error": {
                str(step): float(errors[step - 1])
                for step in ERROR_STEPS
                if step <= len(errors)
            },
        }


def ideal_weights(num_tasks):
    """Returns `(K,)` weights in proportion to `1 / sigma_k ** 2`, mean 1."""
    weights = 1.0 / np.arange(1.0, num_tasks + 1.0) ** 2
    return weights / weights.mean()


def weight_errors(task_weights):
    """Returns the mean squared error to the ideal weights at each step.

    Args:
        task_weights: `(steps, K)` array.
    """
    weights = np.asarray(task_weights, "float64")
    weights = weights / weights.mean(axis=1, keepdims=True)
    ideal = ideal_weights(weights.shape[1])
    return np.mean((weights - ideal) ** 2, axis=1)


def orthogonal(seed=None):
    """Returns a new initializer of kernels.

    Args:
        seed: Integer, or None for a random one.
    """
    # The gain of the authors' code; at 1 training is far from done at its end.
    return keras.initializers.Orthogonal(gain=math.sqrt(2.0), seed=seed)


def _normalised_loss(predictions, labels, sigma):
    squares = np.sum((predictions.astype("float64") - labels) ** 2, axis=1)
    return np.mean(squares) / sigma**2
