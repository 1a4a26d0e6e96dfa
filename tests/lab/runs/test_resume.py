import importlib.metadata
import json
import signal

import keras
import numpy as np
import pytest

from keras_mtl.lab.runs.folder import RunFolder
from keras_mtl.lab.runs.running import train
from tests.lab.runs.runs import assert_same_results, results, run_script
from tests.lab.runs.small_run import SmallExperiment

# Keras' own, whenever a model is saved under NumPy 2.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning"
)


def test_a_killed_run_ends_as_an_uninterrupted_one(whole, tmp_path):
    """Killed before there is a checkpoint, and after some."""
    out = tmp_path / "run"
    for epoch in (0, 3):
        killed = run_script(out, "kill", epoch)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert not (out / "metrics.json").exists()
        assert (out / "checkpoints" / "epoch_00003").exists() == (epoch == 3)
    resumed = run_script(out)
    assert not resumed.returncode, resumed.stderr
    assert_same_results(out, whole)


def test_files_of_a_run(whole):
    names = {"config.json", "versions.json", "history.json", "metrics.json"}
    names |= {"weights.npy", "model.keras", "f"}
    assert {path.name for path in whole.iterdir()} == names
    config = json.loads((whole / "config.json").read_text())
    assert config["experiment"] == "small"
    assert config["weighter"] == "meta_weighting"
    assert config["epochs"] == 5
    versions = json.loads((whole / "versions.json").read_text())
    assert versions["keras"] == keras.__version__
    assert versions["rich"] == importlib.metadata.version("rich")
    history, metrics, weights, _ = results(whole)
    # 45 support rows of the longer task, 8 a batch.
    assert weights.shape == (5 * 6, 2)
    assert all(len(values) == 5 for values in history.values())
    assert {"loss", "a_loss", "b_weight", "val_b_accuracy"} <= set(history)
    scores = np.mean([history[f"val_{t}_accuracy"] for t in "ab"], axis=0)
    assert metrics["epoch"] == 1 + int(np.argmax(scores))
    assert metrics["validation_score"] == pytest.approx(scores.max())


def test_a_finished_run_is_left_alone(whole):
    before = {path: path.read_bytes() for path in whole.iterdir()}
    metrics = train(SmallExperiment(), whole, resume=True)
    assert metrics == json.loads((whole / "metrics.json").read_text())
    assert before == {path: path.read_bytes() for path in whole.iterdir()}
    with pytest.raises(ValueError) as error:
        train(SmallExperiment(), whole)
    assert str(error.value) == (
        f"The folder '{whole}' holds this run, finished. Read its "
        "metrics.json, or pass another --out."
    )


def test_another_run_is_refused_with_the_difference(whole):
    other = SmallExperiment(seed=3, weighter="slaw")
    with pytest.raises(ValueError) as error:
        train(other, whole, resume=True)
    assert str(error.value) == (
        f"The folder '{whole}' holds another run: weighter is "
        "'meta_weighting' there and 'slaw' here; seed is 0 there and 3 here. "
        "Pass another --out."
    )


def test_an_unfinished_run_is_not_overwritten(tmp_path):
    folder = RunFolder(tmp_path, {"seed": 0})
    folder.begin()
    with pytest.raises(ValueError) as error:
        RunFolder(tmp_path, {"seed": 0})
    assert str(error.value) == (
        f"The folder '{tmp_path}' holds this run, not finished. Pass "
        "--resume to go on, or another --out."
    )
    assert not RunFolder(tmp_path, {"seed": 0}, resume=True).finished


def test_folders_that_cannot_be_used(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError) as error:
        RunFolder(tmp_path, {})
    assert str(error.value) == (
        f"The folder '{tmp_path}' is not empty and holds no run. "
        "Found: ['notes.txt']. Pass another --out."
    )
    below = tmp_path / "notes.txt" / "run"
    with pytest.raises(ValueError) as error:
        RunFolder(below, {})
    assert str(error.value) == (
        f"The output folder '{below}' is not writable: Not a directory. "
        "Pass another --out."
    )
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config.json' is not valid JSON"):
        RunFolder(broken, {}, resume=True)


def test_json_has_no_nan_and_partial_files_do_not_matter(tmp_path):
    folder = RunFolder(tmp_path, {"seed": 0})
    (tmp_path / "config.json.partial").write_text("{")
    folder.write("history.json", {"loss": [1.5, float("nan")], "n": 2})
    assert folder.read("history.json") == {"loss": [1.5, None], "n": 2}
    (tmp_path / "history.json").unlink()
    RunFolder(tmp_path, {"seed": 0}).begin()
    assert folder.read("config.json") == {"seed": 0}
