"""What a cell keeps of real, small runs."""

import json

import keras
import numpy as np
import pytest

from keras_mtl.lab.comparisons import single_task
from keras_mtl.lab.comparisons.single_task import train_single_tasks
from keras_mtl.lab.comparisons.summary import NUM_POINTS, summary
from keras_mtl.lab.runs.running import train
from tests.lab.runs.small_run import SmallExperiment

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning"
)


@pytest.fixture(autouse=True)
def keras_home(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))


def test_a_bilevel_run(tmp_path):
    experiment = SmallExperiment(epochs=3, query_split=0.2)
    metrics = train(experiment, tmp_path / "run", diagnose=True)
    kept = summary(experiment, tmp_path / "run")
    assert json.loads(json.dumps(kept, allow_nan=False)) == kept
    assert kept["metrics"] == metrics
    # Layers of 4 * 8 + 8, and two heads of 8 * 2 + 2.
    assert kept["num_parameters"] == 76
    assert kept["config"]["epochs"] == 3
    assert min(kept["history"]["seconds"]) > 0.0
    assert not any("_rows_" in name for name in kept["history"])
    weights = np.load(tmp_path / "run" / "weights.npy")
    steps = np.array(kept["weights"]["steps"])
    assert steps[0] == 1
    assert steps[-1] == len(weights) == 3 * 5
    np.testing.assert_allclose(
        kept["weights"]["values"], weights[steps - 1], rtol=1e-4
    )
    conflicts = kept["conflicts"]
    assert conflicts["epochs"] == [1, 2, 3]
    # One pair of tasks: the mean is its cosine, and the share 0 or 1.
    for cosine, share in zip(
        conflicts["mean_cosine"], conflicts["negative_share"], strict=True
    ):
        assert -1.0 <= cosine <= 1.0
        assert share == (cosine < 0.0)
    losses = kept["losses"]
    assert losses["epochs"] == [1, 2, 3]
    assert losses["num_query"] == {"a": 10, "b": 6}
    assert 0.0 <= losses["query"]["error"]["a"][0] <= 1.0
    # Cross entropies, by NumPy, of the epoch whose model was kept.
    model = keras.saving.load_model(tmp_path / "run" / "model.keras")
    x, y = experiment.parts().test
    for task, labels in y.items():
        shares = np.array(model(x[task], training=False)[task])
        expected = -np.log(shares[np.arange(len(labels)), labels]).mean()
        received = losses["test"]["loss"][task][metrics["epoch"] - 1]
        assert received == pytest.approx(expected, rel=1e-4)


def test_long_curves_are_thinned(tmp_path):
    experiment = SmallExperiment(epochs=9, weighter="slaw", batch_size=2)
    train(experiment, tmp_path / "run")
    kept = summary(experiment, tmp_path / "run")
    assert len(kept["weights"]["steps"]) == NUM_POINTS
    assert kept["conflicts"] is kept["losses"] is None


def test_the_test_rows_can_be_left_alone(tmp_path):
    experiment = SmallExperiment(epochs=1)
    metrics = train(experiment, tmp_path / "run", test=False)
    assert "test_accuracy" not in metrics
    assert 0.0 <= metrics["validation_score"] <= 1.0


def test_single_tasks_are_trained_once(monkeypatch, tmp_path):
    experiment = SmallExperiment(epochs=2, weighter="uniform")
    first = train_single_tasks(experiment, tmp_path / "run", [])
    by_task = first["metrics"]["test_accuracy_by_task"]
    assert list(by_task) == ["a", "b"]
    mean = (by_task["a"] + by_task["b"]) / 2
    assert first["metrics"]["test_accuracy"] == pytest.approx(mean)
    # 4 * 8 + 8, and a head of 8 * 2 + 2, twice.
    assert first["num_parameters"] == 2 * 58
    assert {"val_a_accuracy", "val_b_accuracy"} <= set(first["history"])
    # Of each run its own, which says nothing of the tasks together.
    assert "val_loss" not in first["history"]

    def never(*_, **__):
        raise RuntimeError

    monkeypatch.setattr(single_task, "train", never)
    again = train_single_tasks(experiment, tmp_path / "other", [])
    # Times belong to the call that measured them.
    for name in ("seconds", "step_seconds", "step_processor_seconds"):
        assert first["metrics"].pop(name) > 0.0
    assert again == first
    other = SmallExperiment(epochs=2, weighter="uniform", seed=1)
    with pytest.raises(RuntimeError):
        train_single_tasks(other, tmp_path / "third", [])
    with pytest.raises(RuntimeError):
        train_single_tasks(experiment, tmp_path / "third", [], test=False)


def test_a_result_that_cannot_be_kept_is_no_failure(monkeypatch, tmp_path):
    home = tmp_path / "home"
    home.write_text("not a folder")
    monkeypatch.setenv("KERAS_HOME", str(home))
    experiment = SmallExperiment(epochs=1, weighter="uniform", tasks=("a",))
    with pytest.warns(UserWarning, match="Set KERAS_HOME to a folder"):
        result = train_single_tasks(experiment, tmp_path / "run", [])
    assert 0.0 <= result["metrics"]["test_accuracy"] <= 1.0


def test_a_single_task_sees_the_rows_of_that_task_alone():
    parts = SmallExperiment(tasks=("b",)).parts()
    x, y = parts.train
    assert list(x) == list(y) == ["b"]
    assert len(x["b"]) == 30
    with pytest.raises(ValueError, match="`tasks` must be one of"):
        SmallExperiment(tasks=("c",)).parts()
