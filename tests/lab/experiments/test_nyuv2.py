import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.architectures import MTAN, CrossStitch
from keras_mtl.lab.comparisons import single_task
from keras_mtl.lab.comparisons.methods import methods_for
from keras_mtl.lab.datasets.nyuv2 import TASKS
from keras_mtl.lab.experiments import make_experiment
from keras_mtl.lab.experiments.dense.encoders import dilated_resnet50
from keras_mtl.lab.experiments.dense.pictures import CLASS_COLOURS
from keras_mtl.lab.experiments.dense.scores import DenseScores
from keras_mtl.lab.experiments.nyuv2 import NYUv2Experiment
from keras_mtl.lab.runs.running import train


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy in MTAN's layout, 16 x 16, with pixels missing."""
    folder = tmp_path_factory.mktemp("nyuv2")
    rng = np.random.default_rng(0)
    for name, count in (("train", 7), ("val", 5)):
        normals = rng.normal(size=(count, 16, 16, 3))
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        normals[:, :3] = 0.0
        parts = {
            "image": rng.random((count, 16, 16, 3)),
            "label": rng.integers(-1, 3, (count, 16, 16)),
            "depth": rng.integers(0, 4, (count, 16, 16, 1)) * 1.3,
            "normal": normals,
        }
        for part, values in parts.items():
            (folder / name / part).mkdir(parents=True)
            for number, value in enumerate(values):
                np.save(folder / name / part / f"{number}.npy", value)
    return folder


def scores_of(model, data):
    x, y, present = data
    found, scores = model.predict(x, verbose=0), DenseScores(13)
    for task, labels in y.items():
        scores.add(task, labels, found[task], present[task])
    return scores.result()


def test_a_run_from_masks_to_pictures(copy, tmp_path):
    settings = {"epochs": 2, "batch_size": 3, "validation": 0.3, "seed": 1}
    experiment = NYUv2Experiment(data=copy, augmentation=True, **settings)
    metrics = train(experiment, tmp_path / "run")
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    parts = experiment.parts()
    assert [len(p[0]) for p in (parts.train, parts.validation)] == [5, 2]
    expected = scores_of(model, parts.test)
    for task in TASKS:
        assert metrics["scores"][task] == pytest.approx(expected[task])
    three = [
        expected["segmentation"]["accuracy"],
        expected["depth"]["within_1.25"],
        expected["normals"]["within_11.25"],
    ]
    assert [*metrics["test_accuracy_by_task"].values()] == pytest.approx(three)
    assert metrics["test_accuracy"] == pytest.approx(sum(three) / 3)
    mean = sum(three) / 3
    deviation = np.sqrt(sum((value - mean) ** 2 for value in three) / 3)
    assert metrics["test_accuracy_deviation"] == pytest.approx(deviation)
    # In `fit` the masks leave out the same pixels.
    validated = scores_of(model, parts.validation)
    means = [next(iter(of.values())) for of in validated.values()]
    assert metrics["validation_score"] == pytest.approx(np.mean(means))
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert np.isfinite(history["depth_loss"]).all()
    drawn = tf.io.decode_png((tmp_path / "run" / "pictures.png").read_bytes())
    # Four rows; a picture, and truth and prediction of three tasks.
    assert drawn.shape == (4 * 16 + 3 * 4, 7 * 16 + 6 * 4, 3)
    x, y, present = parts.test
    np.testing.assert_array_equal(drawn[:16, :16], x[0])
    truth = CLASS_COLOURS[y["segmentation"][0]]
    truth[~present["segmentation"][0]] = 0
    np.testing.assert_array_equal(drawn[:16, 20:36], truth)
    depth = model(x[:1])["depth"].numpy()
    assert depth.min() > 0.0
    lengths = np.linalg.norm(model(x[:1])["normals"], axis=-1)
    np.testing.assert_allclose(lengths, 1.0, rtol=1e-5)


def test_constants_and_how_much_is_read(copy):
    parts = NYUv2Experiment(data=copy, num_pictures=3).parts()
    assert parts.facts["pictures"] == {"train": 3, "test": 3}
    assert parts.facts["normals"] == "given"
    assert parts.validation is None
    (constants,) = parts.facts["constants"].values()
    _, train, there = parts.train
    _, test, present = parts.test
    total = np.sum(train["depth"][..., 0] * there["depth"], axis=0)
    mean = total / np.maximum(there["depth"].sum(axis=0), 1)
    error = np.abs(mean - test["depth"][..., 0])[present["depth"]].mean()
    assert constants["depth"]["absolute_error"] == pytest.approx(error)


def test_architectures_on_pictures_that_no_stride_divides(copy):
    assert {"mtan", "cross_stitch"} <= methods_for(NYUv2Experiment).keys()
    assert "mmoe" not in methods_for(NYUv2Experiment)
    x = np.zeros((1, 15, 21, 3), "uint8")
    for name, kind in (("mtan", MTAN), ("cross_stitch", CrossStitch)):
        experiment = NYUv2Experiment(
            data=copy, architecture=name, tasks=("depth", "normals")
        )
        parts = experiment.parts()
        parts = parts._replace(train=(x, *parts.train[1:]))
        model = experiment.build(parts)
        assert isinstance(model.encoder, kind)
        shapes = {t: tuple(part.shape) for t, part in model(x).items()}
        assert shapes == {
            "depth": (1, 15, 21, 1),
            "normals": (1, 15, 21, 3),
        }


def test_resnet_keeps_a_quarter_of_the_sides():
    model = dilated_resnet50((32, 48, 3))
    assert model.output_shape == (None, 8, 12, 2048)
    # As `keras.applications` has it, without its top.
    assert model.count_params() == 23_587_712


def test_single_tasks_keep_all_their_scores(copy, tmp_path, monkeypatch):
    def run(experiment, out, callbacks, test):
        (task,) = experiment.tasks
        metrics = {
            "test_accuracy": 0.5,
            "validation_score": None,
            "epoch": 1,
            "scores": {task: {"of": task}},
        }
        return {"metrics": metrics, "history": {}, "num_parameters": 1}

    monkeypatch.setattr(single_task, "_train_once", run)
    experiment = NYUv2Experiment(data=copy)
    result = single_task.train_single_tasks(experiment, tmp_path, [])
    assert result["metrics"]["scores"] == {t: {"of": t} for t in TASKS}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"data": None}, "`data` must be the path of a copy of NYUv2"),
        ({"backbone": "lite1"}, "Did you mean 'lite0'"),
        ({"freeze": True}, "`freeze` keeps a backbone as it was loaded"),
        (
            {"architecture": "cross_stitch", "backbone": "lite0"},
            "have blocks of their own and no backbone",
        ),
        (
            {"backbone": "resnet50", "output_stride": 2},
            "must be 4 for 'resnet50'",
        ),
        ({"validation": 1.0}, "`validation` must lie between 0 and 1"),
        ({"backbone_weights": "nowhere.npz"}, "must be the path of a file"),
    ],
)
def test_bad_settings(copy, wrong, message):
    with pytest.raises(ValueError, match=message):
        make_experiment("nyuv2", **{"data": copy, **wrong})
