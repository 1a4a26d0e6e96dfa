import importlib.util
import json
from typing import get_args, get_type_hints

import pytest
from typer.testing import CliRunner

from keras_mtl.lab import cli
from keras_mtl.lab.benchmarks import run as benchmarks
from keras_mtl.lab.benchmarks import workloads
from keras_mtl.lab.benchmarks.command import bench
from keras_mtl.weighters import ALIASES, CATALOGUE

QUICK = ["--batch-size", "8", "--repetitions", "2", "--block-seconds", "0.001"]


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    defaults = (10, 512, "auto", (6, 5, 4))
    monkeypatch.setattr(workloads.mlp, "__defaults__", defaults)


def run(*arguments):
    arguments = ["bench", *map(str, arguments)]
    return CliRunner().invoke(cli.app, arguments, catch_exceptions=False)


def test_json_holds_all_and_the_picture_is_drawn(tmp_path):
    out, plot = tmp_path / "bench.json", tmp_path / "bench.png"
    arguments = [
        "--tasks",
        "1,2",
        "--weighters",
        "slaw",
        "--clock",
        "processor",
    ]
    ran = run(*arguments, *QUICK, "--out", out, "--plot", plot)
    assert ran.exit_code == 0
    assert "2 tasks, 69 parameters, batch 8" in ran.output
    assert plot.stat().st_size > 1000
    document = json.loads(out.read_text())
    assert set(document) == {"versions", "platform", "threads", "results"}
    assert document["threads"] == 1
    assert [r["num_tasks"] for r in document["results"]] == [1, 2]
    for result in document["results"]:
        assert set(result) == {
            *("name", "num_tasks", "num_parameters", "batch_size"),
            *("jit_compile", "clock", "repetitions", "rows"),
            "fit_over_plain_keras",
        }
        assert [r["name"] for r in result["rows"]] == [
            *("uniform", "slaw", "plain keras")
        ]
        for row in result["rows"]:
            assert set(row) == {
                *("name", "ratio", "step_seconds", "first_step_seconds"),
                *("steps_per_block", "least_ratio", "over_least"),
                *("reduced_bytes", "peak_memory"),
            }
            assert row["least_ratio"] == 1.0
            assert row["over_least"] == row["ratio"]["median"]
            assert row["peak_memory"] is None
            assert set(row["ratio"]) == {
                *("median", "lower_quartile", "upper_quartile")
            }


def test_all_weighters_are_those_of_the_catalogue(monkeypatch):
    """By the word, and by default; uniform weights have a row anyway."""
    asked = []

    class Stopped(ValueError):
        """Before anything is timed."""

    def weighter_rows(blueprint, uniform, weighters):
        asked.append([uniform, *weighters])
        raise Stopped("enough")

    monkeypatch.setattr(benchmarks, "weighter_rows", weighter_rows)
    for words in (["--weighters", "all"], []):
        assert run("--tasks", 2, *words, *QUICK).exit_code == 1
    uniform, *others = asked[0]
    assert asked == [asked[0], asked[0]]
    assert {ALIASES[uniform], *others} == {*CATALOGUE}
    assert len(others) == len(CATALOGUE) - 1


@pytest.mark.filterwarnings("ignore:CUDA init:UserWarning")
def test_peers_are_rows_of_the_same_table(tmp_path):
    pytest.importorskip("torchjd")
    out = tmp_path / "bench.json"
    ran = run(
        "--tasks", 2, "--weighters", "pcgrad", *QUICK, "--peers", "--out", out
    )
    assert ran.exit_code == 0
    (result,) = json.loads(out.read_text())["results"]
    rows = {row["name"]: row["least_ratio"] for row in result["rows"]}
    assert list(rows)[3:] == [
        *("torch uniform", "torch loop"),
        *("torchjd mtl_backward", "torchjd autogram"),
    ]
    assert rows["torch uniform"] == 1.0
    assert rows["torchjd autogram"] == rows["pcgrad"] > 1.0


@pytest.mark.parametrize(
    ("option", "extra"), [("--peers", "peers"), ("--plot", "report")]
)
def test_a_missing_package_is_named_with_its_extra(
    option, extra, monkeypatch, tmp_path
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    given = [tmp_path / "p.png"] if option == "--plot" else []
    ran = run(option, *given, "--tasks", "1,2")
    assert ran.exit_code == 1
    assert f'Run: pip install "keras-mtl[{extra}]"' in ran.output


def test_the_command_offers_every_workload():
    (literal, _) = get_args(
        get_type_hints(bench, include_extras=True)["workload"]
    )
    assert list(get_args(literal)) == list(workloads.WORKLOADS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--weighters", "slow"], "Unknown weighter 'slow'"),
        (["--tasks", "10,many"], "Received: 'many'"),
        (["--tasks", "0"], "Received: '0'"),
        (["--plot", "bench.png"], "Received: none"),
        (["--plot", "bench.pdf", "--tasks", "2,8"], "ends in .png"),
        (["--plot", "no/folder/b.png", "--tasks", "2,8"], "that exists"),
        (["--peers", "--workload", "resnet"], "mlp, mmoe, ple only"),
        (["--tasks", "3", "--workload", "resnet"], "Leave out --tasks"),
        (["--weighters", "all", "--out", "no/folder/b.json"], "No such file"),
    ],
)
def test_the_command_refuses_before_it_starts(arguments, message):
    ran = run(*arguments)
    assert ran.exit_code == 1
    assert message in ran.output
