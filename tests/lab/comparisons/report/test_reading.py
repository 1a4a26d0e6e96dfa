import dataclasses

import numpy as np
import pytest

from keras_mtl.lab.comparisons.report import tables
from keras_mtl.lab.comparisons.report.reading import read_comparison
from tests.lab.comparisons.report.synthetic import (
    cell,
    declaration,
    write,
    write_comparison,
)

SMALL = {"methods": ("stl", "uniform", "slaw"), "tasks": ("a", "b")}


def test_what_is_read(tmp_path):
    write_comparison(tmp_path, **SMALL, seeds=2)
    read = read_comparison(tmp_path)
    assert (read.methods, read.tasks) == (SMALL["methods"], SMALL["tasks"])
    assert (len(read.cells), read.troubles) == (6, ())
    share = dataclasses.replace(read, score=read.score._replace(factor=1.0))
    assert (read.digits, share.digits) == (2, 5)
    expected = cell("slaw", 1, SMALL["tasks"], gain=0.004)
    slaw = read.of_method("slaw")[1]
    assert slaw.average == expected["metrics"]["test_accuracy"]
    by_task = expected["metrics"]["test_accuracy_by_task"]
    assert read.scores("slaw", "b")[1] == 100 * by_task["b"]
    np.testing.assert_array_equal(slaw.weights, expected["weights"]["values"])
    history = expected["history"]
    np.testing.assert_allclose(
        slaw.mean_history(("a", "b"), "val_{}_accuracy"),
        np.mean([history["val_a_accuracy"], history["val_b_accuracy"]], axis=0),
    )
    assert slaw.mean_history(("a", "b"), "val_{}_auc") is None
    assert read.of_method("stl")[0].weights is None


def test_runs_without_results_are_listed(tmp_path):
    write_comparison(tmp_path, **SMALL, seeds=3, sweeps={"step_size": [1.0]})
    cells = tmp_path / "cells"
    (cells / "slaw" / "seed_2.json").unlink()
    failed = {**cell("slaw", 0), "status": "failed", "error": "ValueError: no"}
    write(cells, "slaw/seed_0.json", failed)
    write(cells, "uniform/seed_0.json", '{"method": "uni')
    write(cells, "uniform/seed_1.json", "[]")
    other = cell("uniform", 2, ("a", "c"))
    write(cells, "uniform/seed_2.json", other)
    diverged = cell("stl", 0, ("a", "b"))
    diverged["metrics"]["test_accuracy"] = None
    write(cells, "stl/seed_0.json", diverged)
    (cells / "meta_weighting@step_size=1" / "seed_1.json").unlink()
    read = read_comparison(tmp_path)
    found = {t.name: (t.kind, t.reason) for t in read.troubles}
    assert found.pop("slaw, seed 0") == ("failed", "ValueError: no")
    assert found.pop("slaw, seed 2") == ("unfinished", "it may be going on")
    late = "meta_weighting@step_size=1, seed 1"
    assert found.pop(late)[0] == "unfinished"
    assert {kind for kind, _ in found.values()} == {"unreadable"}
    assert "seed_0.json' is not valid JSON: " in found["uniform, seed 0"][1]
    assert "must hold a JSON object" in found["uniform, seed 1"][1]
    assert "KeyError: 'b'" in found["uniform, seed 2"][1]
    assert (
        "the test_accuracy of the average is None" in (found["stl, seed 0"][1])
    )
    assert len(found) == 4
    lines = repr(read).splitlines()
    assert lines[0].startswith("Comparison by ")
    assert f"slaw: {read.scores('slaw')[1]:.2f} (1 seed)" in lines
    assert sum(line.startswith("stl, seed 0 (") for line in lines) == 1
    assert sorted(read.of_method("slaw")) == [1]

    # Some methods, each with its cells, troubles and sweeps; and the baseline.
    some = read.only(["slaw"])
    assert some.methods == ("uniform", "slaw")
    assert {c.method for c in some.cells} == {"slaw"}  # No other is whole.
    assert some.scores("slaw") == read.scores("slaw")
    names = {trouble.name for trouble in some.troubles}
    assert names == {t.name for t in read.troubles} - {late, "stl, seed 0"}
    with pytest.raises(ValueError, match=r"not compared\. Did you mean 'slaw'"):
        read.only(["uniform", "slav"])


def test_tasks_that_a_run_cannot_judge_are_left_out(tmp_path):
    """As assays without an active test molecule; sweeps may have fewer."""
    tasks = ("a", "b", "c")
    write_comparison(
        tmp_path, ("uniform",), tasks, seeds=2, sweeps={"num_tasks": [2.0]}
    )
    content = cell("uniform", 1, tasks)
    del content["metrics"]["test_accuracy_by_task"]["a"]
    write(tmp_path, "cells/uniform/seed_1.json", content)
    swept = cell("uniform", 0, ("a", "b"), {"num_tasks": 2.0})
    write(tmp_path, "cells/meta_weighting@num_tasks=2/seed_0.json", swept)
    read = read_comparison(tmp_path)
    assert (read.tasks, read.troubles) == (("b", "c"), ())
    first, second = read.of_method("uniform").values()
    assert second.average == content["metrics"]["test_accuracy"]
    assert [*first.by_task] == [*second.by_task] == ["b", "c"]
    given = np.array(content["weights"]["values"])
    np.testing.assert_array_equal(second.weights, given[:, 1:])
    (few,) = (c for c in read.cells if c.sweep and c.seed == 0)
    assert [*few.by_task] == ["b"]
    tables.write_results(tmp_path / "results.csv", read)
    rows = (tmp_path / "results.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 2 + 1 + 2


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("judged", [True, False])
def test_weights_are_those_of_their_tasks(tmp_path, named, judged):
    """Their columns are in the model's order, a history in the alphabet's."""
    write_comparison(tmp_path, ("slaw",), ("b", "a", "c"), seeds=1)
    content = cell("slaw", 0, ("b", "a", "c"))
    if not named:
        del content["metrics"]["tasks"]
    if not judged:
        del content["metrics"]["test_accuracy_by_task"]["b"]
    write(tmp_path, "cells/slaw/seed_0.json", content)
    weights = read_comparison(tmp_path).of_method("slaw")[0].weights
    if judged or named:
        given = np.array(content["weights"]["values"])
        np.testing.assert_array_equal(weights, given[:, not judged :])
    else:
        assert weights is None


def test_tasks_may_be_known_from_the_cells_only(tmp_path):
    write_comparison(tmp_path, **{**SMALL, "tasks": ("b", "a")}, seeds=1)
    declared = declaration(SMALL["methods"], (), 1)
    write(tmp_path, "compare.json", declared)
    write(tmp_path, "cells/slaw/seed_0.json", "{")
    assert read_comparison(tmp_path).tasks == ("b", "a")
    (tmp_path / "cells").rename(tmp_path / "gone")
    assert read_comparison(tmp_path).tasks == ()


def test_a_sweep_that_has_not_begun(tmp_path):
    sweeps = {"query_split": [0.1, 1.0]}
    write(
        tmp_path,
        "compare.json",
        declaration(("slaw",), ("a",), 1, sweeps=sweeps),
    )
    names = [t.name for t in read_comparison(tmp_path).troubles]
    group = "meta_weighting@query_split"
    assert names == [
        "slaw, seed 0",
        f"{group}=0.1, seed 0",
        f"{group}=1, seed 0",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "holds no comparison: it has no compare.json. Pass the folder"),
        ("{", "compare.json' is not valid JSON: "),
        ("[]", "must hold a JSON object. Received: list"),
        ("{}", "does not describe a comparison: KeyError: 'score'."),
        ('{"score": 3}', "does not describe a comparison: TypeError: "),
    ],
)
def test_folders_that_hold_no_comparison(tmp_path, text, message):
    if text is not None:
        write(tmp_path, "compare.json", text)
    with pytest.raises(ValueError) as error:
        read_comparison(tmp_path)
    assert message in str(error.value)
