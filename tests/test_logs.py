"""A step returns few tensors; who reads its logs sees numbers by name."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.training.logs import StepLogs, as_row
from tests.tasks.stacked_twins import NAMES, compiled, stacked_model
from tests.tasks.stacked_twins import make_data as stacked_data
from tests.training import TASKS, make_data, new_model


def test_rows_are_named_when_read():
    row = as_row([tf.constant(0.5), tf.constant([1.0, 2.0])])
    assert row.shape == (1, 3)
    logs = StepLogs(
        {"/row": row, "own": tf.constant(3.0)}, {"/row": ("a", "b", "c")}
    )
    assert len(logs) == 4
    assert "b" in logs
    assert {n: float(v) for n, v in logs.items()} == {
        **{"a": 0.5, "b": 1.0, "c": 2.0},
        "own": 3.0,
    }
    assert not StepLogs({}, {})


@pytest.mark.parametrize(
    "metrics", [None, {"class": ["accuracy"], "stars": ["mse"]}]
)
def test_a_step_returns_one_row_of_means_and_one_of_metrics(metrics):
    model = new_model("slaw", metrics=metrics)
    x, y = make_data()
    model.train_on_batch(x, y)
    logs = model.train_step((tf.constant(x), y, None))
    assert set(logs) <= {"/training", "/metrics"}
    assert logs["/training"].shape == (1, 2 * len(TASKS) + 2)
    logs = model.test_step((tf.constant(x), y, None))
    assert logs["/evaluation"].shape == (1, len(TASKS) + 1)


def test_a_metric_that_is_no_scalar_is_logged_as_it_is():
    class PerUnit(keras.metrics.MeanSquaredError):
        def result(self):
            return tf.fill([2], tf.convert_to_tensor(super().result()))

    model = new_model(metrics={"stars": [PerUnit(name="both"), "mse"]})
    logs = model.train_on_batch(*make_data(), return_dict=True)
    assert logs["stars_both"].shape == (2,)
    np.testing.assert_allclose(logs["stars_both"], logs["stars_mse"])


@pytest.mark.parametrize("stacked", [False, True])
def test_metrics_of_several_tasks_have_a_mean(stacked):
    """NumPy's `nanmean` of the tasks' columns; a task without labels is NaN."""
    if stacked:
        model, names = compiled(stacked_model()), NAMES
        x, y, weight = stacked_data()
        weight[:, 1] = 0.0
    else:
        names, missing = TASKS, "stars"
        metrics = {"tone": ["accuracy"], "class": ["accuracy"]}
        metrics["stars"] = ["mae", keras.metrics.MeanSquaredError("accuracy")]
        x, y = make_data()
        weight = {missing: np.zeros(len(x), "float32")}
        model = new_model(metrics=metrics)
    logs = model.evaluate(
        x, y, sample_weight=weight, verbose=0, return_dict=True
    )
    columns = [logs[f"{task}_accuracy"] for task in names]
    assert np.isnan(columns[1])
    assert logs["mean_accuracy"] == pytest.approx(np.nanmean(columns))
    own = {name for name in logs if name.startswith("mean_")}
    assert own == {"mean_accuracy", *(["mean_mse"] if stacked else [])}
    values = model.evaluate(x, y, sample_weight=weight, verbose=0)
    assert len(values) == len(logs) - len(own)
    best = keras.callbacks.EarlyStopping("val_mean_accuracy", mode="max")
    history = model.fit(
        x, y, validation_data=(x, y, weight), callbacks=[best], verbose=0
    ).history
    assert best.best == history["val_mean_accuracy"][0]
    assert "mean_accuracy" in history


def test_a_mean_of_no_task_is_nan_and_a_task_may_be_called_mean():
    values = tf.constant([[np.nan, np.nan, 3.0]])
    names = ("a_f1", "b_f1", "mean_f2")
    means = {"mean_f1": ["a_f1", "b_f1"], "mean_f2": ["a_f1", "b_f1"]}
    logs = StepLogs({"/row": values}, {"/row": names}, means)
    assert np.isnan(logs["mean_f1"])
    assert logs["mean_f2"] == 3.0
    assert len(logs) == 4


def test_a_subclass_may_log_more():
    model = new_model()
    plain = model.train_step
    model.train_step = lambda data: {**plain(data), "own": tf.constant(7.0)}
    history = model.fit(*make_data(), verbose=0).history
    assert history["own"] == [7.0]
    assert np.isfinite(history["loss"][0])
