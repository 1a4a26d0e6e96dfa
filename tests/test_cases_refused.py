"""Labels and weights that fit nothing end before training, and say why."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.test_cases_labels import (
    HALF,
    KINDS,
    ROWS,
    X,
    Y,
    compiled,
    evaluate,
    history,
    two,
)

NAN = Y["a"].copy()
NAN[7] = np.nan
OUTSIDE = KINDS.copy()
OUTSIDE[4] = 3


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"a": NAN}, r"Task 'a' has a label .*nan in row 7, 1 such.*math.nan"),
        ({"kind": OUTSIDE}, r"'kind' .*classes 0 to 2. Received: 3 in row 4"),
        ({"kind": KINDS + 1}, "count from 0: subtract 1 from these"),
        ({"kind": np.where(KINDS == 1, -1, KINDS)}, r"missing=-1\)"),
        ({"a": Y["a"][:5]}, r"Task 'a': .*Received: inputs 12, labels 5"),
        ({"a": np.array(["x"] * ROWS)}, "labels that are not numbers"),
        ({"a": {"x": Y["a"]}}, r"labels of task 'a' are not nested as"),
    ],
)
def test_bad_labels_end_before_training(labels, message):
    heads = {
        "a": keras.layers.Dense(1),
        "kind": keras.layers.Dense(3, "softmax"),
    }
    losses = {"a": "mse", "kind": "sparse_categorical_crossentropy"}
    good = {"a": Y["a"], "kind": KINDS}
    bad = {**good, **labels}
    model = compiled(heads, losses)
    for call in (
        lambda: model.fit(X, bad, verbose=0),
        lambda: model.fit(X, good, validation_data=(X, bad), verbose=0),
        lambda: model.evaluate(X, bad, verbose=0),
        lambda: model.train_on_batch(X, bad),
        lambda: model.test_on_batch(X, bad),
        lambda: model.fit(
            X, good, query_data=(X, bad), weighter="auto_lambda", verbose=0
        ),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert len(str(caught.value)) < 600
    assert int(model.optimizer.iterations) == 0
    (task,) = labels
    weight = {task: np.ones(ROWS, "float32")}
    if message.endswith("math.nan"):
        weight[task][7] = 0.0
        assert np.isfinite(
            history(model, X, bad, sample_weight=weight)["loss"]
        ).all()


def test_a_loss_of_ones_own_may_cope_with_nan():
    def masked(y, p):
        there = tf.math.is_finite(y)
        return tf.reduce_sum(
            tf.where(there, (tf.where(there, y, 0.0) - p) ** 2, 0.0), -1
        )

    model = compiled({"a": keras.layers.Dense(1)}, {"a": masked})
    assert np.isfinite(history(model, X, {"a": NAN})["loss"]).all()


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ({"a": np.ones(5)}, r"'a' do not fit its labels. Expected: shape \(12"),
        ({"a": np.ones((ROWS, 3))}, r"Received: \(12, 3\) of float64"),
        ({"b": np.ones((ROWS, 2, 2))}, r"Received: \(12, 2, 2\)"),
        ([np.ones(ROWS), HALF], "Sample weights must be a dict from task name"),
        ({"a": [HALF, HALF]}, "sample weights of task 'a' are not nested as"),
        ({"a": -np.ones(ROWS)}, r"'a' must be finite and at least 0. Rec"),
    ],
)
def test_bad_weights_end_before_training(weight, message):
    model = two()
    for call in (
        lambda: model.fit(X, Y, sample_weight=weight, verbose=0),
        lambda: model.train_on_batch(X, Y, weight),
        lambda: model.test_on_batch(X, Y, weight),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            call()
        assert len(str(caught.value)) < 600
    assert int(model.optimizer.iterations) == 0


def test_lists_where_dicts_belong():
    model = two()
    with pytest.raises(ValueError, match="Labels must be a dict") as caught:
        model.fit(X, [Y["a"], Y["b"]], verbose=0)
    assert len(str(caught.value)) < 600
    with pytest.raises(
        ValueError, match=r"a list of 2. Pass loss=\{'a': ...\}"
    ):
        two(loss=["mse", "mae"])
    listed = {task: label.tolist() for task, label in Y.items()}
    weights = {"a": HALF.tolist()}
    logs = evaluate(model, X, listed, sample_weight=weights)
    assert logs == evaluate(model, X, Y, sample_weight={"a": HALF})
