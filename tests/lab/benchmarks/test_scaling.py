"""Simulated step times against closed forms, and the page about them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from keras_mtl import weighters
from keras_mtl.lab import cli
from keras_mtl.lab.benchmarks.communication import num_sums
from keras_mtl.lab.benchmarks.declaration import declaration
from keras_mtl.lab.benchmarks.operations import (
    Dense,
    Layers,
    operations_by_passes,
    uniform_operations,
)
from keras_mtl.lab.benchmarks.scaling import (
    Network,
    Terms,
    measured_terms,
    step_seconds,
)
from tests.test_collectives import SUMS

DOCS = Path(__file__).parents[3] / "docs"
MEASURED = DOCS / "scaling.json"
NETWORK = Network(bandwidth=1e9, latency=1e-5)


def run(*arguments):
    arguments = ["scaling", *map(str, arguments)]
    return CliRunner().invoke(cli.app, arguments, catch_exceptions=False)


@given(st.floats(0, 10), st.integers(0, 10**10), st.integers(0, 500), st.data())
def test_one_replica_waits_for_nobody(seconds, num_bytes, sums, data):
    terms = Terms("slaw", seconds, seconds, num_bytes, sums)
    assert step_seconds(terms, 1, NETWORK) == seconds
    fewer, more = sorted(
        data.draw(st.lists(st.integers(1, 5000), min_size=2, max_size=2))
    )
    times = [step_seconds(terms, count, NETWORK) for count in (fewer, more)]
    assert times[0] <= times[1] * (1 + 1e-12)


def test_a_ring_of_four_in_closed_form():
    """Six rounds of a quarter of the bytes, for each of two sums."""
    terms = Terms("slaw", 0.1, 0.2, 4_000_000, 2)
    expected = 0.2 + 6 * 1_000_000 / 1e9 + 2 * 6 * 1e-5
    assert step_seconds(terms, 4, NETWORK) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "sums"),
    [
        *((n, 2) for n in ("uniform", "slaw", "dwa", "uncertainty")),
        *((n, 2) for n in ("bandit_mtl", "tchebycheff")),
        *((n, 3) for n in ("mgda", "gradnorm", "pcgrad", "meta_weighting")),
    ],
)
def test_sums_follow_from_signals_not_from_the_number_of_tasks(name, sums):
    """With the update's, those that `tests.test_collectives` counts."""
    assert num_sums(declaration(weighters.get(name))) == sums
    assert 1 + sums == SUMS.get(name, 3)


# Two rows, 3 inputs, layers of 4 and 5 units, two heads of one unit.
LAYERS = Layers([Dense(2, 3, 4), Dense(2, 4, 5)], [Dense(2, 5, 1)] * 2)
# Products of the three kinds of layers: 2 * 3 * 4 * 2 and so on.
FIRST, SECOND, HEAD = 48, 80, 20
FORWARD = FIRST + SECOND + 2 * HEAD


def by_passes(name):
    return operations_by_passes(LAYERS, declaration(weighters.get(name)))


def test_a_pass_per_task_goes_through_its_head_and_all_layers():
    # Each: its head's inputs, and both products of a layer but the first's.
    passes = 2 * (HEAD + 2 * SECOND + FIRST)
    # The heads' kernels, sums of two gradients, and four inner products.
    size = 3 * 4 + 4 * 5
    rest = 2 * HEAD + 2 * 2 * size + 2 * 4 * size
    assert by_passes("pcgrad") == FORWARD + passes + rest


def test_a_pass_per_task_ends_at_the_last_shared_layer():
    passes = 2 * (HEAD + SECOND)
    # One pass more for the rest: heads, both ways, and what is below.
    rest = 2 * 2 * HEAD + SECOND + FIRST
    size = 4 * 5
    squares = 2 * 2 * size + 2 * 2 * size
    assert by_passes("gradnorm") == FORWARD + passes + rest + squares


def result(**ratios):
    """Returns what a benchmark of the smallest layers might have written."""
    return {
        "name": "mlp",
        "num_tasks": 2,
        "num_parameters": 1000,
        "batch_size": 8,
        "rows": [
            {
                "name": name,
                "step_seconds": 0.5 * ratio + 0.1 * (name != "uniform"),
                "ratio": {"median": ratio},
                "reduced_bytes": 24,
            }
            for name, ratio in {"uniform": 1.0, **ratios}.items()
        ],
    }


def test_terms_are_the_measured_and_those_of_the_formulas():
    rows = {"slaw": 1.2, "mgda": 1.4, "pcgrad": 1.8, "plain keras": 0.8}
    terms = {t.name: t for t in measured_terms(result(**rows))}
    assert list(terms) == ["uniform", "slaw", "mgda", "pcgrad"]
    assert all(t.bytes == 4 * 1000 + 24 for t in terms.values())
    assert [t.sums for t in terms.values()] == [3, 3, 4, 4]
    for name, ratio in {"uniform": 1.0, "slaw": 1.2, "mgda": 1.4}.items():
        assert terms[name].computing == terms[name].alone == 0.5 * ratio
    widths = [(2048, 2000), (2000, 100)]
    layers = Layers(
        [Dense(8, *width) for width in widths], [Dense(8, 100, 1)] * 2
    )
    declared = declaration(weighters.get("pcgrad"))
    passes = operations_by_passes(layers, declared)
    expected = 0.5 * passes / uniform_operations(layers)
    assert terms["pcgrad"].alone == 0.9
    assert terms["pcgrad"].computing == pytest.approx(expected)
    # The widest layer alone: forward, two passes, and six products of its size,
    # each as much as a row of the eight.
    assert expected == pytest.approx(0.5 * (1 + 2 + 6 / 8) / 2, rel=0.01)


def test_the_pages_tables_are_what_the_command_prints():
    page = (DOCS / "scaling.md").read_text()
    commands = [
        line.removeprefix("$ keras-mtl ").split()
        for line in page.splitlines()
        if line.startswith("$ keras-mtl scaling")
    ]
    assert len(commands) >= 1
    for _, path, *options in commands:
        ran = run(DOCS.parent / path, *options)
        assert ran.exit_code == 0
        for line in ran.output.splitlines():
            assert line.strip() in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--replicas", "8,many"], "Received: 'many'"),
        (["--replicas", "0"], "Received: '0'"),
        (["--gigabits", "0"], "`gigabits` must be greater than 0"),
        (["--microseconds", "-1"], "`microseconds` must be at least 0"),
    ],
)
def test_the_command_refuses_before_it_starts(arguments, message):
    ran = run(MEASURED, *arguments)
    assert ran.exit_code == 1
    assert message in ran.output


def test_the_command_wants_a_benchmarks_file(tmp_path):
    path = tmp_path / "other.json"
    path.write_text("[]")
    ran = run(path)
    assert ran.exit_code == 1
    assert "keras-mtl bench --out" in ran.output


def test_other_models_are_refused(tmp_path):
    path = tmp_path / "own.json"
    own = {**result(), "name": "my_model"}
    path.write_text(json.dumps({"results": [own]}))
    ran = run(path)
    assert ran.exit_code == 1
    assert "Received: 'my_model'" in ran.output
