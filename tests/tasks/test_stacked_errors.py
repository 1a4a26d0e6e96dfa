"""What does not fit stacked heads gets an error that says so."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.tasks.stacked_twins import (
    NAMES,
    by_name,
    make_data,
    named_twin,
    stacked_model,
)


def compiled(model=None, loss="mse", **kwargs):
    model = model or stacked_model()
    model.compile("sgd", loss=loss, jit_compile=False, **kwargs)
    return model


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": None}, "Stacked heads have one loss for all tasks"),
        ({"loss": {"tone": "mse"}}, "Stacked heads have one loss"),
        ({"loss_weights": {"ton": 1.0}}, "'ton' has a loss weight but the"),
        ({"loss_weights": [1.0, 2.0]}, "one entry for each of the 4 tasks"),
        ({"loss_weights": {"tone": -1}}, r"loss_weights\['tone'\]` must be"),
        ({"metrics": {"tone": ["mse"]}}, "the same metrics for all tasks"),
    ],
)
def test_compile(arguments, message):
    with pytest.raises(ValueError, match=message):
        compiled(**arguments)


X, Y, _ = make_data()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (Y[:, :3], r"must have the shape \(B, 4\).*Received: \(.*, 3\)"),
        (Y[:, 0], r"must have the shape \(B, 4\)"),
        (np.stack([Y, Y], -1), r"must have the shape \(B, 4\)"),
        (None, r"must be one array \(B, 4\).*Received: none"),
        (Y.astype(str), "The stacked labels are not numbers"),
        (Y * np.nan, r"mask_missing\(y, missing=math.nan, vector=False\)"),
        ({}, "No task that has a loss has labels. Pass y="),
        ({**by_name(Y), "x": Y[:, 0]}, "Task 'x' has a label but the model"),
        (
            {**by_name(Y), "age": np.stack([Y[:, 0], Y[:, 1]], 1)},
            "the same shape for every task",
        ),
    ],
)
def test_labels(y, message):
    with pytest.raises(ValueError, match=message):
        compiled().fit(X, y, verbose=0)


def test_labels_of_classes():
    model = compiled(stacked_model(3), "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"\(B, 4, 3\), or \(B, 4\) of int"):
        model.fit(X, np.ones((len(X), 4, 2)), verbose=0)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones((len(X), 2)), r"one array \(B,\) or \(B, 4\)"),
        (np.ones_like(Y) * [1, 0, 1, 1], "Task 'age' has no label in the"),
        ({"x": Y[:, 0]}, "Task 'x' has a sample weight but"),
    ],
)
def test_sample_weights(weight, message):
    with pytest.raises(ValueError, match=message):
        compiled().fit(X, Y, sample_weight=weight, verbose=0)


def test_inputs_by_task():
    model = compiled()
    with pytest.raises(ValueError, match="same inputs for every task"):
        model.fit(dict.fromkeys(NAMES, X), Y, verbose=0)


def test_a_data_set_of_dicts():
    data = tf.data.Dataset.from_tensor_slices((X, by_name(Y))).batch(8)
    with pytest.raises(ValueError, match=r"stack them by tf.stack\("):
        compiled().fit(data, verbose=0)


def test_stacked_labels_for_named_heads():
    model = compiled(named_twin(stacked_model()))
    with pytest.raises(ValueError, match="Labels must be a dict from task"):
        model.fit(X, Y, verbose=0)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("dice", "loss 'dice' does not give one value for each task"),
        (lambda y, p: tf.reduce_mean((y - p) ** 2), "one value for each task"),
        (lambda y, p: (y - p) ** 2, "reduce the last axis"),
    ],
)
def test_losses(loss, message):
    with pytest.raises(ValueError, match=message):
        compiled(loss=loss).fit(X, Y, verbose=0)


@pytest.mark.parametrize(
    "metric", [keras.metrics.RootMeanSquaredError(), keras.metrics.MeanIoU(2)]
)
def test_metrics(metric):
    model = compiled(metrics=[metric])
    with pytest.raises(ValueError, match="compute others from predict"):
        model.fit(X, Y, verbose=0)


def test_weights_of_other_tasks(tmp_path):
    compiled().save_weights(tmp_path / "m.weights.h5")
    other = compiled(stacked_model(names=NAMES[::-1]))
    with pytest.raises(ValueError, match="could not be loaded") as error:
        other.load_weights(tmp_path / "m.weights.h5")
    assert "not those of StackedHeads of the tasks" in str(error.value)
