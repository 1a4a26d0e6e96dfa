import json
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from keras_mtl import weighters
from keras_mtl.lab.catalogue import catalogue_rows
from keras_mtl.lab.cli import app
from keras_mtl.signals import SIGNALS

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning"
)


def run(*arguments):
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(app, words, env={"COLUMNS": "250"})


def one_line(text):
    return " ".join(text.split())


def test_help_names_all_commands():
    result = run("--help")
    assert result.exit_code == 0
    for command in ("demo", "train", "compare", "report", "list"):
        assert re.search(rf"\b{command}\b", result.output)


def test_the_command_prints_none_of_tensorflows_notes():
    command = "from keras_mtl_command import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", command, "list"], capture_output=True, text=True
    )
    assert result.returncode == 0
    assert "slaw" in result.stdout
    assert result.stderr == ""


def test_list_shows_the_whole_catalogue():
    result = run("list")
    assert result.exit_code == 0
    for name in (*weighters.CATALOGUE, *weighters.ALIASES):
        assert name in result.output
    assert "https://arxiv.org/abs/2109.08218" in result.output


def test_catalogue_rows_are_those_of_the_classes():
    rows = {row.names[0]: row for row in catalogue_rows()}
    assert list(rows) == list(weighters.CATALOGUE)
    assert rows["constant"].names == ("constant", "uniform")
    assert rows["constant"].cost == "none"
    assert rows["slaw"].papers == (
        ("Crawshaw and Kosecka, 2021", "https://arxiv.org/abs/2109.08218"),
    )
    meta = rows["meta_weighting"]
    assert meta.signals == (
        "losses",
        "query_support_gramian",
        "learning_rate",
    )
    assert meta.cost == SIGNALS["query_support_gramian"].cost
    for name, row in rows.items():
        assert row.papers or name == "constant"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--weighter", "slam"],
            "Error: Unknown weighter 'slam'. Did you mean 'slaw'? "
            "'keras-mtl list' shows all.",
        ),
        (
            ["--epochs", "0"],
            "Error: Argument `epochs` must be at least 1. Received: epochs=0",
        ),
        (
            ["--weighter-arguments", "[1]"],
            "Error: --weighter-arguments must be a JSON object such as "
            '{"momentum": 0.9}. Received: [1]',
        ),
        (
            ["--weighter", "slaw", "--weighter-arguments", '{"momentum": 2}'],
            "Error: Argument `momentum` must be in the range [0, 1). "
            "Received: momentum=2",
        ),
        (
            ["--glove", "/nowhere/glove.txt"],
            "Error: The experiment 'mtregression' has no setting 'glove'.",
        ),
        (
            ["--weighter", "ideal_constant", "--weighter-arguments", '{"a":1}'],
            "Error: The weighter 'ideal_constant' takes no arguments. "
            "Received: {'a': 1}",
        ),
    ],
)
def test_user_errors_are_one_line(tmp_path, arguments, message):
    out = tmp_path / "run"
    result = run("train", "mtregression", "--out", out, *arguments)
    assert result.exit_code == 1
    assert one_line(result.stderr).startswith(message)
    assert "Traceback" not in result.output
    assert not out.exists()


@pytest.mark.parametrize("command", ["train", "compare"])
def test_the_nearest_experiment_is_named(tmp_path, command):
    out = tmp_path / "run"
    result = run(command, "topic", "--out", out)
    assert result.exit_code == 1
    message = one_line(result.stderr)
    assert message.startswith("Error: Argument `experiment` must be one of [")
    assert message.endswith(
        "]. Received: experiment='topic'. Did you mean 'topics'?"
    )
    assert not out.exists()
    names = ("topics", "sentiment", "mtregression", "demo", "mmoe_tasks")
    for name in (*names, "nyuv2", "toxcast"):
        assert re.search(rf"\b{name}\b", run(command, "--help").output)


@pytest.mark.parametrize("package", ["sklearn", "tensorflow_datasets"])
@pytest.mark.parametrize("arguments", ["demo", "train demo", "compare demo"])
def test_what_is_not_installed_is_named(
    tmp_path, monkeypatch, arguments, package
):
    monkeypatch.setitem(sys.modules, package, None)
    result = run(*arguments.split(), "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert one_line(result.stderr).endswith(
        f'needs {package}, not installed here. Run: pip install "keras-mtl'
        '[data]"'
    )
    assert not (tmp_path / "run").exists()


def test_topics_needs_files_that_exist(tmp_path):
    result = run("train", "topics", "--out", tmp_path, "--data", "/nowhere/x")
    assert result.exit_code == 1
    assert one_line(result.stderr) == (
        "Error: Argument `data` must be the path of a file. Received: "
        "data='/nowhere/x', which is none."
    )


def test_train_writes_a_run_and_leaves_it_alone(tmp_path):
    command = ["train", "mtregression", "--out", tmp_path / "run"]
    command += ["--weighter", "slaw", "--epochs", "1", "--batch-size", "3000"]
    result = run(*command)
    assert result.exit_code == 0, result.output
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    # The zero predictor scores 57.8, and three steps change little.
    assert 50 < metrics["normalised_loss"] < 62
    assert set(metrics["loss_weight_error"]) == {"1"}
    assert metrics["epoch"] == 1
    refused = run(*command)
    assert refused.exit_code == 1
    assert "holds this run, finished" in one_line(refused.stderr)
    resumed = run(*command, "--resume")
    assert resumed.exit_code == 0
    assert "This run is finished; nothing to do." in resumed.output


def test_train_takes_settings_that_have_no_option(tmp_path):
    given = ("train", "mtregression", "--out", tmp_path / "run")
    twice = run(*given, "--seed", "1", "--settings", '{"seed": 2}')
    assert twice.exit_code == 1
    assert "--settings must not repeat what options give" in one_line(
        twice.stderr
    )
    unknown = run(*given, "--settings", '{"num_tests": 2}')
    assert "has no setting 'num_tests'" in one_line(unknown.stderr)
    assert "Did you mean 'num_test'" in one_line(unknown.stderr)
