"""Overlaid digits: small enough to train while one watches."""

import dataclasses
from typing import ClassVar

import keras

from keras_mtl import MultiTaskModel
from keras_mtl.checks import integer, one_of
from keras_mtl.lab.datasets.digits import overlaid_digits
from keras_mtl.lab.experiments.classification import ClassificationExperiment
from keras_mtl.lab.experiments.experiment import LATER
from keras_mtl.lab.experiments.mixtures import ARCHITECTURES, around
from keras_mtl.lab.experiments.parts import Parts

CLASSES = {"left": 10, "right": 10, "even_sum": 2}


@dataclasses.dataclass(frozen=True, kw_only=True)
class DigitsExperiment(ClassificationExperiment):
    """Two real digits in one picture: left, right, and is their sum even.

    Args:
        architecture: String, `"shared_bottom"`; or `"mmoe"`, `"ple"` or
            `"cross_stitch"`, with experts or towers like its last layer.
        num_train: Integer, at least 5, training pictures; a fifth as many
            validate, and a fifth as many test the model.
        **kwargs: As in `Experiment`.
    """

    name = "demo"
    all_tasks = tuple(CLASSES)
    architectures: ClassVar[tuple] = ARCHITECTURES
    # The published steps are made for thousands of epochs.
    weighter_defaults: ClassVar[dict] = {"meta_weighting": {"step_size": 5.0}}

    epochs: int = 25
    batch_size: int = 100
    learning_rate: float = 2e-3
    num_train: int = 5_000
    architecture: str = dataclasses.field(
        default="shared_bottom", metadata=LATER
    )

    def __post_init__(self):
        super().__post_init__()
        one_of("architecture", self.architecture, ARCHITECTURES)
        self._set(num_train=integer("num_train", self.num_train, 5))

    def load(self):
        """Overlays the digits that come with scikit-learn."""
        train, validation, test = overlaid_digits(
            self.num_train, self.seed, validation=True
        )
        return Parts(train, test, validation)

    def build(self, parts):
        """Returns a small convolutional network with a head for each task."""
        inputs = keras.Input(parts.train[0].shape[1:], name="image")
        hidden = keras.layers.Conv2D(16, 3, padding="same", activation="relu")(
            inputs
        )
        hidden = keras.layers.Conv2D(
            24, 3, strides=2, padding="same", activation="relu"
        )(hidden)
        hidden = keras.layers.Flatten()(hidden)
        last = keras.layers.Dense(48, activation="relu")
        if self.architecture == "shared_bottom":
            encoder = keras.Model(inputs, last(hidden), name="encoder")
        else:
            bottom = keras.Model(inputs, hidden, name="bottom")
            tasks = [*parts.train[1]]
            encoder = around(self.architecture, tasks, [last], bottom)
        heads = {
            task: keras.layers.Dense(
                CLASSES[task], activation="softmax", name=task
            )
            for task in parts.train[1]
        }
        return MultiTaskModel(encoder, heads)
