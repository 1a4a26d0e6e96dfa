"""What experiments have in common whose tasks all are classifications."""

import dataclasses
from typing import Any, ClassVar

import keras
import numpy as np

from keras_mtl.lab.experiments.experiment import Experiment
from keras_mtl.lab.experiments.parts import Score


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassificationExperiment(Experiment):
    """Adam, cross entropies, and the accuracy of each task.

    It takes the arguments of `Experiment`.

    Example:

    >>> @dataclasses.dataclass(frozen=True, kw_only=True)
    ... class Tones(ClassificationExperiment):
    ...     def load(self):
    ...         return Parts(train=(x, {"tone": y}), test=(x, {"tone": y}))
    ...     def build(self, parts):
    ...         heads = {"tone": keras.layers.Dense(2, "softmax")}
    ...         return MultiTaskModel(keras.layers.Dense(4, "relu"), heads)
    >>> Tones(weighter="slaw").score.unit
    '%'
    """

    score: ClassVar = Score("test_accuracy", "test accuracy", "%", 100.0)
    monitor = "accuracy"
    jit_compile: ClassVar[Any] = "auto"

    def compile(self, model):
        """Compiles with Adam and cross entropies."""
        model.compile(
            keras.optimizers.Adam(self.learning_rate),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            weighter=self.make_weighter(),
            jit_compile=self.jit_compile,
        )

    def evaluate(self, model, parts, task_weights):
        """Returns the test accuracy of each task and their mean."""
        return accuracies(model, parts.test, "test")


def accuracies(model, data, name):
    """Returns the accuracy of each task on the set `name`, and the mean."""
    x, y, weights = (*data, None)[:3]
    results = model.evaluate(
        x,
        y,
        batch_size=256,
        sample_weight=weights,
        verbose=0,
        return_dict=True,
    )
    by_task = {task: results[f"{task}_accuracy"] for task in model.task_names}
    return {
        f"{name}_accuracy": float(np.mean(list(by_task.values()))),
        f"{name}_accuracy_by_task": by_task,
    }
