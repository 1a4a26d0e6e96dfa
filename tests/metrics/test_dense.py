"""Dense metrics and losses, masked by pixels, against NumPy's formulas."""

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel
from keras_mtl.lab.experiments.dense.scores import (
    DenseScores,
    constant_predictions,
)
from keras_mtl.losses import CosineDistance, ScaleInvariantLog
from keras_mtl.metrics import (
    MeanAngle,
    MedianAngle,
    RelativeError,
    WithinAngle,
    WithinRatio,
)

NUM_CLASSES = 4
METRICS = {
    "segmentation": [
        "accuracy",
        keras.metrics.MeanIoU(
            NUM_CLASSES, sparse_y_pred=False, name="mean_iou"
        ),
    ],
    "depth": [
        WithinRatio(name="within_1.25"),
        keras.metrics.MeanAbsoluteError(name="absolute_error"),
        RelativeError(),
    ],
    "normals": [
        *(WithinAngle(a, f"within_{a:g}") for a in (11.25, 22.5, 30.0)),
        MeanAngle(),
        MedianAngle(),
    ],
}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    shape = 7, 6, 5
    normals = rng.normal(size=(*shape, 3))
    truth = {
        "segmentation": rng.integers(0, NUM_CLASSES, shape),
        "depth": rng.uniform(0.5, 9.0, (*shape, 1)),
        "normals": normals / np.linalg.norm(normals, axis=-1, keepdims=True),
    }
    found = {
        "segmentation": rng.normal(size=(*shape, NUM_CLASSES)),
        "depth": truth["depth"] * np.exp(rng.normal(size=(*shape, 1)) / 4),
        "normals": 3.0 * normals + rng.normal(size=(*shape, 3)),
    }
    # Pictures with few labelled pixels, and with none.
    share = np.linspace(0.0, 1.0, len(normals))[:, None, None]
    present = {task: rng.random(shape) < share for task in truth}
    for task, labels in truth.items():
        missing = -1 if task == "segmentation" else np.nan
        labels[~present[task]] = missing
    as_float32 = {t: found[t].astype("float32") for t in found}
    return as_float32, truth, present


def expected_scores(found, truth, present, median="linear"):
    """The definitions, on the pixels that have labels, all at once."""
    there = {
        task: (truth[task][p], found[task][p]) for task, p in present.items()
    }
    classes, logits = there["segmentation"]
    said = logits.argmax(-1)
    ious = [
        np.sum((classes == c) & (said == c))
        / np.sum((classes == c) | (said == c))
        for c in range(NUM_CLASSES)
    ]
    depth, predicted = (part[:, 0].astype(float) for part in there["depth"])
    exact, vectors = there["normals"]
    lengths = np.linalg.norm(vectors, axis=-1)
    angles = np.degrees(np.arccos(np.sum(exact * vectors, axis=-1) / lengths))
    return {
        "segmentation": {
            "accuracy": np.mean(classes == said),
            "mean_iou": np.mean(ious),
        },
        "depth": {
            "within_1.25": np.mean(
                np.abs(np.log(predicted / depth)) < np.log(1.25)
            ),
            "absolute_error": np.mean(np.abs(predicted - depth)),
            "relative_error": np.mean(np.abs(predicted - depth) / depth),
        },
        "normals": {
            "within_11.25": np.mean(angles < 11.25),
            "within_22.5": np.mean(angles < 22.5),
            "within_30": np.mean(angles < 30.0),
            "mean_angle": np.mean(angles),
            "median_angle": np.quantile(angles, 0.5, method=median),
        },
    }


def expected_losses(found, truth, present):
    logits = found["segmentation"].astype(float)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    labels = np.maximum(truth["segmentation"], 0)[..., None]
    entropy = -np.take_along_axis(logs, labels, -1)[..., 0]
    exact, vectors = truth["normals"], found["normals"].astype(float)
    cosines = np.sum(exact * vectors, -1) / np.linalg.norm(vectors, axis=-1)
    total = 0.0
    for label, depth, here in zip(
        truth["depth"], found["depth"], present["depth"], strict=True
    ):
        d = np.log(depth.astype(float) / label)[here]
        if len(d):
            total += len(d) * (np.mean(d**2) - 0.5 * np.mean(d) ** 2)
    return {
        "segmentation": np.mean(entropy[present["segmentation"]]),
        "depth": total / present["depth"].sum(),
        "normals": np.mean(1.0 - cosines[present["normals"]]),
    }


def test_streaming_metrics_and_losses_in_a_model(data):
    found, truth, present = data
    # One input holds all predictions; each head is a slice of it.
    ends = np.cumsum([found[task].shape[-1] for task in found])
    heads = {
        task: keras.layers.Lambda(lambda z, a=a, b=b: z[..., a:b])
        for task, a, b in zip(found, [0, *ends], ends, strict=False)
    }
    model = MultiTaskModel(keras.layers.Identity(), heads)
    model.compile(
        loss={
            "segmentation": keras.losses.SparseCategoricalCrossentropy(
                from_logits=True
            ),
            "depth": ScaleInvariantLog(),
            "normals": CosineDistance(),
        },
        metrics=METRICS,
    )
    logs = model.evaluate(
        np.concatenate([*found.values()], axis=-1),
        truth,
        sample_weight=present,
        batch_size=3,
        verbose=0,
        return_dict=True,
    )
    for task, scores in expected_scores(*data, "lower").items():
        for name, value in scores.items():
            bound = 0.0026 if name == "median_angle" else 1e-5
            assert logs[f"{task}_{name}"] == pytest.approx(value, abs=bound)
    for task, value in expected_losses(*data).items():
        assert logs[f"{task}_loss"] == pytest.approx(value, rel=1e-5)


def test_scores_of_numpy(data):
    found, truth, present = data
    scores = DenseScores(NUM_CLASSES)
    for rows in (slice(0, 3), slice(3, 7)):
        for task, labels in truth.items():
            scores.add(
                task, labels[rows], found[task][rows], present[task][rows]
            )
    expected = expected_scores(*data)
    result = scores.result()
    assert {*result} == {*expected}
    for task, values in result.items():
        assert values == pytest.approx(expected[task], rel=1e-6)
    assert DenseScores(2).result() == {}


def test_without_any_labels_and_below_zero():
    """Nothing counts in the first; a distance below 0 is within no ratio."""
    scores = DenseScores(NUM_CLASSES)
    for task, size in {"segmentation": NUM_CLASSES, "normals": 3}.items():
        nothing = np.zeros((1, 2, 2), bool)
        labels = np.zeros((1, 2, 2, 3)[: 3 if size > 3 else 4])
        scores.add(task, labels, np.ones((1, 2, 2, size)), nothing)
    assert scores.result() == {}
    assert float(MedianAngle().result()) == 0.0
    label, found = np.full((1, 2, 1, 1), 3.0), np.array([[[[-2.9]], [[3.1]]]])
    scores.add("depth", label, found, np.ones((1, 2, 1), bool))
    assert scores.result()["depth"]["within_1.25"] == 0.5
    assert float(WithinRatio()(label, found)) == 0.5


def test_the_median_of_an_odd_number_is_within_a_bin():
    rng = np.random.default_rng(1)
    turn = rng.uniform(0.0, 180.0, (3, 67))
    vectors = np.stack(
        [np.cos(np.radians(turn)), np.sin(np.radians(turn))], axis=-1
    )
    metric = MedianAngle()
    for row in vectors:
        metric.update_state([[1.0, 0.0]] * 67, 5.0 * row)
    half_a_bin = 0.0025 + 1e-4
    assert abs(float(metric.result()) - np.median(turn)) < half_a_bin


def test_scale_invariance():
    """At 1 a common factor costs nothing; at 0 it is the squared log."""
    label = np.array([[[2.0], [4.0], [0.0]], [[1.0], [3.0], [5.0]]], "float32")
    for invariance, value in ((1.0, 0.0), (0.5, 0.5), (0.0, 1.0)):
        loss = ScaleInvariantLog(invariance, reduction=None)
        values = np.array(loss(label, 1.5 * label + (label == 0)))
        there = label[..., 0] > 0
        np.testing.assert_allclose(
            values[there], value * np.log(1.5) ** 2, atol=1e-6
        )
        assert (values[~there] == 0.0).all()
        mean = ScaleInvariantLog(invariance)(label, 1.5 * label)
        assert float(mean) == pytest.approx(value * np.log(1.5) ** 2, abs=1e-6)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.invariance == 0.0


def test_constants_are_those_of_each_pixel(data):
    _, truth, present = data
    constant = constant_predictions(
        truth
        | {
            task: np.where(present[task][..., None], truth[task], 0.0)
            for task in ("depth", "normals")
        },
        present,
        NUM_CLASSES,
    )
    for at in ((0, 0), (3, 4)):
        seen = {t: truth[t][:, *at][present[t][:, *at]] for t in truth}
        counts = np.bincount(seen["segmentation"], minlength=NUM_CLASSES)
        np.testing.assert_array_equal(constant["segmentation"][0, *at], counts)
        for task in ("depth", "normals"):
            np.testing.assert_allclose(
                constant[task][0, *at], seen[task].mean(axis=0)
            )


def test_metrics_are_made_again_from_their_config():
    for metric in (WithinRatio(1.5), WithinAngle(30.0), MedianAngle(10)):
        config = keras.metrics.serialize(metric)
        again = keras.metrics.deserialize(config)
        assert again.get_config() == metric.get_config()
    with pytest.raises(ValueError, match="`ratio` must be greater than 1"):
        WithinRatio(0.5)
