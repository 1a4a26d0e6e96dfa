"""Validation rows choose the epoch, and test rows judge it alone."""

import json

import keras
import numpy as np
import pytest

from keras_mtl.lab.runs.running import train
from tests.lab.runs.small_run import SmallExperiment

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning"
)
GOOD, EPOCHS = 2, 4


def accuracies(model, data):
    """Returns the accuracy of each task, by NumPy."""
    x, y = data
    return {
        task: np.mean(np.argmax(model(x[task], training=False)[task], 1) == own)
        for task, own in y.items()
    }


class Watch(keras.callbacks.Callback):
    """Notes accuracies of each epoch, and spoils the model after `GOOD`."""

    def __init__(self, parts):
        super().__init__()
        self._parts = parts
        self.test, self.validation = [], []

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == GOOD:
            for head in self.model.heads.values():
                head.kernel.assign(-10.0 * head.kernel)

    def on_epoch_end(self, epoch, logs=None):
        self.test.append(accuracies(self.model, self._parts.test))
        self.validation.append(accuracies(self.model, self._parts.validation))


def test_the_test_score_is_that_of_the_best_epoch(tmp_path):
    experiment = SmallExperiment(
        weighter="uniform", epochs=EPOCHS, learning_rate=0.02
    )
    watch = Watch(experiment.parts())
    metrics = train(experiment, tmp_path / "run", callbacks=[watch])
    means = [np.mean([*found.values()]) for found in watch.validation]
    best = int(np.argmax(means))
    assert best < GOOD
    assert metrics["epoch"] == best + 1
    assert metrics["validation_score"] == pytest.approx(means[best])
    expected = watch.test[best]
    assert metrics["test_accuracy_by_task"] == pytest.approx(expected)
    mean = np.mean([*expected.values()])
    assert metrics["test_accuracy"] == pytest.approx(mean)
    # Neither other rows nor another epoch would give the same.
    assert mean < means[best] - 0.1
    assert watch.test[-1] != expected
    kept = keras.saving.load_model(tmp_path / "run" / "model.keras")
    assert accuracies(kept, watch._parts.test) == expected
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    for task in ("a", "b"):
        np.testing.assert_allclose(
            history[f"val_{task}_accuracy"],
            [found[task] for found in watch.validation],
            rtol=1e-6,
        )


def test_the_sets_have_no_row_in_common():
    parts = SmallExperiment().parts()
    for task in ("a", "b"):
        sets = (parts.train, parts.validation, parts.test)
        rows = np.concatenate([x[task] for x, _ in sets])
        assert len(np.unique(rows, axis=0)) == len(rows)
