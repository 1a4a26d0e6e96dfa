"""The commands themselves: real runs, and the page about them."""

import json

import pytest
from typer.testing import CliRunner

from keras_mtl.lab.cli import app
from keras_mtl.lab.comparisons import running
from tests import warm

METHODS = ("stl", "meta_weighting")


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compared")
    arguments = [
        *("compare", "demo", "--methods", ",".join(METHODS), "--epochs", "1"),
        *("--settings", '{"num_train": 100, "batch_size": 50}'),
        *("--jobs", "2", "--threads", "1", "--out", str(folder / "out")),
    ]
    environment = {"KERAS_HOME": str(folder / "home"), "COLUMNS": "200"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running.subprocess, "Popen", warm.Popen)
        result = CliRunner().invoke(app, arguments, env=environment)
    assert result.exit_code == 0, result.output
    return folder, result.output


def test_compare(compared):
    folder, output = compared
    for method in METHODS:
        assert method in output
        path = folder / "out" / "cells" / method / "seed_0.json"
        cell = json.loads(path.read_text())
        accuracies = cell["metrics"]["test_accuracy_by_task"]
        assert set(accuracies) == {"left", "right", "even_sum"}
        assert cell["threads"] == 1
        assert str(folder) not in path.read_text()
        measured = cell["losses"] is not None
        assert measured == (method == "meta_weighting")
        if measured:  # The order of the weights, not the alphabet's.
            assert cell["metrics"]["tasks"] == ["left", "right", "even_sum"]
    kept = [*(folder / "home" / "keras_mtl" / "single_task").iterdir()]
    assert len(kept) == 3
    plan = (folder / "out" / "compare.json").read_text()
    assert str(folder) not in plan


def test_report_of_what_compare_wrote(compared):
    folder, _ = compared
    result = CliRunner().invoke(app, ["report", str(folder / "out")])
    assert result.exit_code == 0, result.output
    page = (folder / "out" / "report" / "index.html").read_text()
    for method in METHODS:
        assert method in page
    for name in ("clusters", "weights", "errors", "losses", "conflicts"):
        assert (folder / "out" / "report" / f"{name}.png").exists()
    rows = (folder / "out" / "report" / "results.csv").read_text().splitlines()
    assert len(rows) == 1 + len(METHODS) * 3
    some = ["report", str(folder / "out"), "--methods", "meta_weighting"]
    assert CliRunner().invoke(app, some).exit_code == 0
    rows = (folder / "out" / "report" / "results.csv").read_text().splitlines()
    assert len(rows) == 1 + 3


def test_a_setting_is_given_once(tmp_path):
    arguments = ["compare", "demo", "--epochs", "2", "--out", str(tmp_path)]
    result = CliRunner().invoke(
        app, [*arguments, "--settings", '{"epochs": 3}']
    )
    assert result.exit_code == 1
    assert "Received: ['epochs'] by both" in " ".join(result.output.split())
