"""Δm in the logs, by the formula of the paper on History's columns."""

import keras
import numpy as np
import pytest

from keras_mtl.callbacks import DeltaM
from tests.training import make_data, new_model

BASE = {
    "tone": {"accuracy": 0.5, "loss": 0.7},
    "stars": {"loss": 1.5},
}
BETTER = {"accuracy": True, "loss": False}


def test_chooses_the_epoch():
    model = new_model(metrics={"tone": ["accuracy"]})
    x, y = make_data()
    change = DeltaM(BASE, BETTER)
    stop = keras.callbacks.EarlyStopping("val_delta_m", mode="max", patience=9)
    logs = model.fit(
        x,
        y,
        validation_data=(x, y),
        epochs=4,
        callbacks=[stop, change],
        verbose=0,
    ).history
    accuracy, tone, stars = (
        np.array(logs[f"val_{name}"])
        for name in ("tone_accuracy", "tone_loss", "stars_loss")
    )
    of_tone = 50.0 * ((accuracy - 0.5) / 0.5 + (0.7 - tone) / 0.7)
    of_stars = 100.0 * (1.5 - stars) / 1.5
    expected = (of_tone + of_stars) / 2.0
    np.testing.assert_allclose(logs["val_delta_m"], expected, rtol=1e-9)
    assert stop.best == pytest.approx(expected.max())
    assert change.best_epoch == {
        "tone": np.argmax(of_tone),
        "stars": np.argmax(of_stars),
    }
    with pytest.raises(ValueError, match=r"no column 'val_tone_auc'"):
        model.fit(
            x,
            y,
            validation_data=(x, y),
            callbacks=[DeltaM({"tone": {"auc": 0.5}})],
            verbose=0,
        )
    with pytest.warns(UserWarning, match="found no validation scores"):
        model.fit(x, y, callbacks=[change], verbose=0)
    unknown = DeltaM({"tones": {"loss": 1.0}}, BETTER)
    with pytest.raises(ValueError, match="Did you mean 'tone'"):
        model.fit(x, y, callbacks=[unknown], verbose=0)


def test_stops_when_no_task_improves():
    """By hand: `b` improves in epoch 2, none afterwards."""
    base = {"a": {"f1": 0.5}, "b": {"f1": 0.5}}
    change = DeltaM(base, patience=2)
    model = keras.Model()
    model.output_names, model.stop_training = ["a", "b"], False
    change.set_model(model)
    change.on_train_begin()
    scores = [(0.5, 0.4), (0.4, 0.5), (0.45, 0.45), (0.5, 0.5)]
    stopped, found = [], []
    for epoch, (a, b) in enumerate(scores):
        logs = {"val_a_f1": a, "val_b_f1": b}
        change.on_epoch_end(epoch, logs)
        stopped.append(model.stop_training)
        found.append(logs["val_delta_m"])
    assert stopped == [False, False, False, True]
    np.testing.assert_allclose(found, [-10.0, -10.0, -10.0, 0.0], atol=1e-9)
    logs = {"val_a_f1": 0.9}  # Of another callback, in no validated epoch.
    change.on_epoch_end(4, logs)
    assert set(logs) == {"val_a_f1"}
    assert change.best_epoch == {"a": 0, "b": 1}


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ({"a": 0.5}, "dict from task name to a dict"),
        ({"a": {"f1": 0.0}}, "finite and not 0"),
        ({}, "no task to compare"),
    ],
)
def test_arguments(base, message):
    with pytest.raises(ValueError, match=message):
        DeltaM(base)
