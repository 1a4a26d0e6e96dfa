"""Rankings of many tasks are scikit-learn's, task by task."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from keras_mtl.metrics import average_precision, ranking, roc_auc


@settings(max_examples=60)
@given(
    rows=st.integers(2, 40),
    num_tasks=st.integers(1, 5),
    digits=st.integers(0, 8),  # Few digits: ties.
    kind=st.sampled_from(["none", "rows", "missing", "real"]),
    dtype=st.sampled_from(["float32", "float64"]),
    block=st.sampled_from([1, 2**15]),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_scikit_learn(rows, num_tasks, digits, kind, dtype, block, seed):
    rng = np.random.default_rng(seed)
    shape = (rows, num_tasks)
    scores = rng.normal(size=shape).round(digits).astype(dtype)
    labels = rng.integers(0, 2, shape)
    labels[:2] = [[0] * num_tasks, [1] * num_tasks]
    weights = {
        "none": None,
        "rows": rng.random(rows) + 0.1,
        "missing": (rng.random(shape) < 0.6) * 1.0,
        "real": rng.random(shape) * (rng.random(shape) < 0.6),
    }[kind]
    if kind in ("missing", "real"):
        weights[:2] = 1.0
        labels = np.where(weights == 0, -7, labels)
        scores = np.where(weights == 0, np.nan, scores).astype(dtype)
    whole = np.ones(shape) if weights is None else weights
    whole = np.broadcast_to(whole.reshape(rows, -1), shape)
    before, ranking.BLOCK = ranking.BLOCK, block
    received = (
        average_precision(labels, scores, weights),
        roc_auc(labels, scores, weights),
    )
    ranking.BLOCK = before
    for task in range(num_tasks):
        used = whole[:, task] != 0
        arguments = (labels[used, task], scores[used, task])
        weight = {"sample_weight": whole[used, task]}
        expected = (
            metrics.average_precision_score(*arguments, **weight),
            metrics.roc_auc_score(*arguments, **weight),
        )
        for mine, other in zip(received, expected, strict=True):
            assert mine.dtype == np.float64
            assert abs(mine[task] - other) <= 1e-12


def test_tasks_without_a_class_are_nan():
    labels = np.array([[1, 0, 1], [1, 0, 0]])
    scores = np.array([[0.2, 0.3, -0.0], [0.1, 0.4, 0.0]], "float32")
    np.testing.assert_array_equal(
        roc_auc(labels, scores), [np.nan, np.nan, 0.5]
    )
    np.testing.assert_array_equal(
        average_precision(labels, scores), [1.0, np.nan, 0.5]
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0, 2]], [[0.1, 0.2]]), "a label that is not 0 or 1, in row 0 of"),
        (
            ([[0, 1]], [[0.1, np.nan]]),
            "a score that is NaN, in row 0",
        ),
        (([0, 1], [0.1, 0.2], [1, -1]), "a weight that is negative"),
        (([0, 1], [[0.1, 0.2]]), "must have the same shape"),
        (([0, 1], [0.1, 0.2], [1, 1, 1]), "Weights must have the shape"),
        (([], []), "at least one label"),
    ],
)
def test_bad_input(arguments, message):
    for metric in (average_precision, roc_auc):
        with pytest.raises(ValueError, match=message):
            metric(*arguments)
