"""AUC, Precision and Recall of stacked tasks are Keras' own, task by task."""

import keras
import numpy as np
import pytest

from keras_mtl.tasks.own_rows import RowLabels
from keras_mtl.tasks.stacked_metrics import StackedMetrics

NAMES = ("a", "b", "c")


def metrics():
    kinds = keras.metrics
    return [
        kinds.AUC(name="roc"),
        kinds.AUC(curve="PR", name="pr"),
        kinds.AUC(curve="PR", summation_method="minoring", name="least"),
        kinds.AUC(summation_method="majoring", name="most"),
        kinds.AUC(thresholds=[0.2, 0.35, 0.8], name="few"),
        kinds.AUC(from_logits=True, name="logits"),
        kinds.Precision(name="precision"),
        kinds.Recall(thresholds=0.3, name="recall"),
        "binary_accuracy",
    ]


@pytest.mark.parametrize("own_rows", [False, True])
def test_equal_keras(own_rows):
    """Over two batches, with ties, missing labels and weights."""
    rng = np.random.default_rng(0)
    given = metrics()
    stacked = StackedMetrics(NAMES, given, [keras.metrics.AUC(name="auc")])
    expected = {name: metrics() for name in NAMES}
    weighted = {name: keras.metrics.AUC() for name in NAMES}
    for rows in (40, 25):
        scores = rng.random((rows, 3)).round(2).astype("float32")
        labels = (rng.random((rows, 3)) < scores).astype("float32")
        weight = rng.choice([0.0, 0.5, 2.0], (rows, 3)).astype("float32")
        labels[weight == 0] = np.nan
        if own_rows:
            ids = rng.integers(0, 3, rows).astype("int32")
            mine = np.arange(rows), ids
            batch = RowLabels(labels[mine], ids), scores[mine][:, None]
            stacked.update_state(*batch, weight[mine])
            weight *= ids[:, None] == np.arange(3)
        else:
            stacked.update_state(labels, scores, weight)
        for task, name in enumerate(NAMES):
            used = weight[:, task] > 0
            columns = labels[used, task], scores[used, task]
            weighted[name].update_state(*columns, weight[used, task])
            for metric in expected[name]:
                if not isinstance(metric, str):
                    metric.update_state(*columns)
    received = stacked.result()
    for name in NAMES:
        for metric in expected[name][:-1]:
            np.testing.assert_allclose(
                received[f"{name}_{metric.name}"],
                metric.result(),
                rtol=2e-5,
                err_msg=metric.name,
            )
        np.testing.assert_allclose(
            received[f"{name}_auc"], weighted[name].result(), rtol=2e-5
        )
    # One histogram for "roc", "pr", "least" and "most" together.
    assert len(stacked.variables) == 1 + 6
    stacked.reset_state()
    assert all(np.isnan(value) for value in stacked.result().values())


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (keras.metrics.AUC(multi_label=True), "leave out `multi_label`"),
        (keras.metrics.Precision([0.1, 0.5]), "Use one threshold"),
        (keras.metrics.Recall(top_k=2), "Use one threshold"),
        (keras.metrics.F1Score(), "from predict"),
    ],
)
def test_what_cannot_be_stacked(metric, message):
    stacked = StackedMetrics(NAMES, [metric], None)
    with pytest.raises(ValueError, match=message):
        stacked.build(np.zeros((2, 3)), np.zeros((2, 3)))


def test_one_prediction_for_each_task():
    stacked = StackedMetrics(NAMES, [keras.metrics.AUC()], None)
    with pytest.raises(ValueError, match="Received: heads of 2 units"):
        stacked.update_state(np.zeros((4, 3)), np.zeros((4, 3, 2)))
