"""Whole comparisons, by a worker that only pretends to train."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from rich.console import Console

from keras_mtl.comparisons import running
from keras_mtl.comparisons.comparing import compare
from keras_mtl.comparisons.folder import ComparisonFolder
from keras_mtl.comparisons.search import LEARNING_RATES

# Accuracy 0.5 + learning rate, but 0.1 above 1e-3; `mgda` fails.
WORKER = """
import json, sys
job = json.load(sys.stdin)
settings = job["settings"]
print("not JSON")
print(json.dumps({"epoch": 1, "epochs": 2, "loss": 0.5}), flush=True)
if settings["weighter"] == "mgda":
    raise RuntimeError("out of luck")
rate = settings.get("learning_rate", 0.25)
score = 0.5 + rate if rate != 5e-3 else 0.1
metrics = {"validation_score": score, "seen": job}
if job["test"]:
    metrics["test_accuracy"] = score
print(json.dumps({"result": {"metrics": metrics}}), flush=True)
"""


@pytest.fixture
def worker(monkeypatch, tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(textwrap.dedent(WORKER))
    monkeypatch.setattr(running, "WORKER", (sys.executable, str(script)))
    return script


def run(tmp_path, methods, **arguments):
    console = Console(file=io.StringIO())
    out = tmp_path / "out"
    return compare("demo", methods, out, console, **arguments)


def test_a_failing_run_is_recorded_and_the_rest_go_on(worker, tmp_path):
    folder, cells, failed = run(
        tmp_path, ["uniform", "mgda", "slaw"], seeds=2, jobs=2, threads=3
    )
    assert [c.name for c in failed] == ["mgda/seed_0", "mgda/seed_1"]
    content = folder.read_cell(failed[0])
    assert content["status"] == "failed"
    assert content["error"] == "RuntimeError: out of luck (exit code 1)"
    done = [cell for cell in cells if folder.finished(cell)]
    assert [c.name for c in done] == [
        *("uniform/seed_0", "slaw/seed_0", "uniform/seed_1", "slaw/seed_1")
    ]
    content = folder.read_cell(done[-1])
    assert content["metrics"]["test_accuracy"] == 0.75
    assert (content["method"], content["seed"]) == ("slaw", 1)
    assert content["threads"] == content["metrics"]["seen"]["threads"] == 3
    assert content["metrics"]["seen"]["settings"]["seed"] == 1


def test_a_finished_cell_never_runs_again(worker, tmp_path):
    run(tmp_path, ["uniform"])
    worker.write_text("raise SystemExit(3)")
    folder, cells, failed = run(tmp_path, ["uniform", "slaw"], seeds=1)
    assert folder.finished(cells[0])
    assert [cell.method for cell in failed] == ["slaw"]
    assert "exit code 3" in folder.read_cell(failed[0])["error"]
    worker.write_text(WORKER)
    *_, failed = run(tmp_path, ["slaw"])
    assert not failed
    plan = folder.read("compare.json")
    assert plan["methods"] == ["uniform", "slaw"]
    assert plan["cells"] == ["uniform/seed_0", "slaw/seed_0"]


def test_another_configuration_is_refused(worker, tmp_path):
    run(tmp_path, ["uniform"], settings={"epochs": 3})
    with pytest.raises(ValueError, match="epochs is 3 there and 4 here"):
        run(tmp_path, ["uniform"], settings={"epochs": 4})


def test_a_foreign_folder_is_refused(worker, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    with pytest.raises(ValueError, match=r"holds no comparison.*thesis\.tex"):
        run(tmp_path, ["uniform"])


def test_a_damaged_cell_is_named(worker, tmp_path):
    folder, cells, _ = run(tmp_path, ["uniform"])
    folder.cell_path(cells[0]).write_text("{")
    with pytest.raises(ValueError, match=r"seed_0\.json' is not valid JSON"):
        run(tmp_path, ["uniform"])


def test_two_at_work_in_one_folder(worker, tmp_path):
    folder = ComparisonFolder(tmp_path / "out")
    plan = {"methods": [], "cells": [], "seeds": 1, "sweeps": {}}
    plan["settings"] = {}
    with (
        folder.opened(plan),
        pytest.raises(ValueError, match="Another comparison is running"),
    ):
        run(tmp_path, ["uniform"])


def test_search_chooses_by_validation_and_leaves_the_test_rows(
    worker, tmp_path
):
    folder, cells, _ = run(tmp_path, ["stl", "slaw"], search=True)
    rates = [
        folder.read_cell(cell)["metrics"]["seen"]["settings"]["learning_rate"]
        for cell in cells
    ]
    assert rates == [1e-3, 1e-3]
    searched = [*(tmp_path / "out" / "search" / "cells").glob("*/*.json")]
    assert len(searched) == 2 * len(LEARNING_RATES)
    for path in searched:
        metrics = json.loads(path.read_text())["metrics"]
        assert "test_accuracy" not in metrics
    with pytest.raises(ValueError, match="has none"):
        compare("mtregression", ["uniform"], tmp_path / "o", None, search=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seeds": 0}, "`seeds` must be at least 1"),
        ({"jobs": 0}, "`jobs` must be at least 1"),
        ({"threads": 0}, "`threads` must be at least 1"),
        ({"settings": {"epoch": 1}}, "Did you mean 'epochs'?"),
        ({"settings": {"seed": 1}}, "'seed' is the methods' own"),
        ({"settings": {"num_train": 4}}, "`num_train` must be at least 5"),
        ({"settings": {"query_split": 1}}, "`query_split` must be in the"),
        ({"sweeps": ["step_size=-1"]}, "`step_size` must be"),
        ({"sweeps": ["query_split=0"]}, "`query_split` must be greater"),
    ],
)
def test_bad_arguments_are_told_before_anything_runs(
    tmp_path, arguments, message
):
    with pytest.raises(ValueError, match=re.escape(message)):
        run(tmp_path, ["meta_weighting"], **arguments)
    assert not (tmp_path / "out").exists()


def test_an_interrupt_ends_the_runs_and_records_no_failure(tmp_path):
    script = tmp_path / "main.py"
    worker = tmp_path / "worker.py"
    worker.write_text(
        f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w')"
        ".write(str(os.getpid()))\ntime.sleep(60)\n"
    )
    script.write_text(
        # Whoever started the tests may have interrupts ignored.
        "import signal, sys\nfrom keras_mtl import cli\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from keras_mtl.comparisons import running\n"
        f"running.WORKER = (sys.executable, {str(worker)!r})\n"
        "sys.argv[1:] = ['compare', 'demo', '--methods', 'uniform']\n"
        f"sys.argv += ['--out', {str(tmp_path / 'out')!r}]\n"
        "cli.app()\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script)], stderr=subprocess.PIPE, text=True
    )
    began = time.monotonic()
    while not (tmp_path / "pid").exists() and time.monotonic() - began < 60:
        time.sleep(0.1)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.endswith(
        f"Interrupted. What was saved in '{tmp_path / 'out'}' is whole. The "
        "same command goes on.\n"
    )
    assert not [*(tmp_path / "out").glob("cells/**/*.json")]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
