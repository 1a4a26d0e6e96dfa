"""An experiment on local workers: the run of a single process."""

import json

import pytest
from typer.testing import CliRunner

from keras_mtl.lab.cli import app
from keras_mtl.lab.experiments import make_experiment
from keras_mtl.lab.runs import workers
from keras_mtl.lab.runs.running import train
from keras_mtl.lab.runs.workers import train_with_workers
from tests import warm

# No statistics of losses: they would multiply what rounding leaves.
SETTINGS = {"weighter": "uncertainty", "epochs": 2, "num_tasks": 2}
SETTINGS |= {"num_train": 1000, "num_test": 100}


def test_at_least_two(tmp_path):
    command = ["train", "mtregression", "--out", str(tmp_path), "--workers"]
    result = CliRunner().invoke(app, [*command, "1"])
    assert result.exit_code == 1
    assert " ".join(result.stderr.split()) == (
        "Error: Argument `workers` must be at least 2. Received: workers=1"
    )


@pytest.mark.slow
def test_two_workers_write_the_run_of_one_process(tmp_path, monkeypatch):
    monkeypatch.setattr(workers.subprocess, "Popen", warm.Popen)
    experiment = make_experiment("mtregression", **SETTINGS)
    received = train_with_workers(2, experiment, tmp_path / "two")
    expected = train(experiment, tmp_path / "one")
    assert received.keys() == expected.keys()
    assert received["normalised_loss"] == pytest.approx(
        expected["normalised_loss"], rel=1e-5
    )
    folders = [tmp_path / "one", tmp_path / "two"]
    one, two = ({path.name for path in f.iterdir()} for f in folders)
    assert one == two
    one, two = (json.loads((f / "history.json").read_text()) for f in folders)
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)


@pytest.mark.slow
def test_a_worker_that_fails(tmp_path, monkeypatch):
    experiment = make_experiment("mtregression", **SETTINGS)
    monkeypatch.setenv("PYTHONHASHSEED", "none")  # Python does not start.
    with pytest.raises(
        ValueError, match=r"^Worker 0 of 2 ended with exit code"
    ):
        train_with_workers(2, experiment, tmp_path / "two")
