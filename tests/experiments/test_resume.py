import importlib.util
import json
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_mtl.experiments.folder import RunFolder
from keras_mtl.experiments.running import train

# Keras' own, whenever a model is saved under NumPy 2.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning"
)
SCRIPT = Path(__file__).with_name("small_run.py")
SPEC = importlib.util.spec_from_file_location("small_run", SCRIPT)
small_run = importlib.util.module_from_spec(SPEC)
sys.modules["small_run"] = small_run
SPEC.loader.exec_module(small_run)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    train(small_run.SmallExperiment(), out, save_seconds=0.0)
    return out


def results(out):
    history = json.loads((out / "history.json").read_text())
    metrics = json.loads((out / "metrics.json").read_text())
    seconds = history.pop("seconds"), metrics.pop("seconds")
    assert abs(sum(seconds[0]) - seconds[1]) < 1e-6
    for name in ("step_seconds", "step_processor_seconds"):
        median = np.median(history.pop(name))
        assert abs(median - metrics.pop(name)) < 1e-9
    weights = np.load(out / "weights.npy", allow_pickle=False)
    model = keras.saving.load_model(out / "model.keras")
    return history, metrics, weights, model.variables


@pytest.mark.parametrize("epoch", [0, 3])
def test_a_killed_run_ends_as_an_uninterrupted_one(whole, tmp_path, epoch):
    command = [sys.executable, SCRIPT, tmp_path / "run", str(epoch)]
    killed = subprocess.run(command, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert not (tmp_path / "run" / "metrics.json").exists()
    subprocess.run(command[:3], check=True, capture_output=True)
    for mine, theirs in zip(
        results(tmp_path / "run")[:3], results(whole)[:3], strict=True
    ):
        np.testing.assert_equal(mine, theirs)
    variables = zip(
        results(tmp_path / "run")[3], results(whole)[3], strict=True
    )
    for mine, theirs in variables:
        # Keras does not save these; each epoch sets them.
        if "seed_generator" not in mine.path:
            np.testing.assert_array_equal(mine, theirs, mine.path)


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
    history, metrics, weights, _ = results(whole)
    # 45 support rows of the longer task, 8 a batch.
    assert weights.shape == (5 * 6, 2)
    assert all(len(values) == 5 for values in history.values())
    assert {"loss", "a_loss", "b_weight", "val_b_accuracy"} <= set(history)
    scores = np.mean([history[f"val_{t}_accuracy"] for t in "ab"], axis=0)
    assert metrics["epoch"] == 1 + int(np.argmax(scores))
    assert metrics["test_accuracy"] == pytest.approx(scores.max())


def test_a_finished_run_is_left_alone(whole):
    before = {path: path.read_bytes() for path in whole.iterdir()}
    metrics = train(small_run.SmallExperiment(), whole, resume=True)
    assert metrics == json.loads((whole / "metrics.json").read_text())
    assert before == {path: path.read_bytes() for path in whole.iterdir()}
    with pytest.raises(ValueError) as error:
        train(small_run.SmallExperiment(), whole)
    assert str(error.value) == (
        f"The folder '{whole}' holds this run, finished. Read its "
        "metrics.json, or pass another --out."
    )


def test_another_run_is_refused_with_the_difference(whole):
    other = small_run.SmallExperiment(seed=3, weighter="slaw")
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
