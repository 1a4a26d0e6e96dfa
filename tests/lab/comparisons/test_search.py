"""The choice of learning rates, by a worker that only pretends to train."""

import json

import pytest

from keras_mtl.lab.comparisons.comparing import compare
from keras_mtl.lab.comparisons.search import LEARNING_RATES
from tests.lab.comparisons.pretend import WORKER, run


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


def test_a_method_whose_search_fails_does_not_stop_the_others(worker, tmp_path):
    folder, cells, failed = run(tmp_path, ["mgda", "slaw"], search=True)
    assert folder.finished(cells[1])
    assert folder.read_cell(cells[0])["status"] == "failed"
    assert "no run of the search" in failed["mgda/seed_0"]
    rates = [f"search/mgda@learning_rate={r:g}/seed_0" for r in LEARNING_RATES]
    assert list(failed) == [*rates, "mgda/seed_0"]


def test_all_seeds_of_a_method_have_one_learning_rate(worker, tmp_path):
    worker.write_text(WORKER.replace("BROKEN = 0.0", "BROKEN = 1e-3"))
    *_, failed = run(tmp_path, ["slaw"], search=True)
    assert list(failed) == ["search/slaw@learning_rate=0.001/seed_0"]
    worker.write_text(WORKER)
    folder, cells, _ = run(tmp_path, ["slaw"], search=True, seeds=2)
    jobs = [folder.read_cell(cell)["metrics"]["seen"] for cell in cells]
    assert [job["settings"]["learning_rate"] for job in jobs] == [5e-4, 5e-4]
    assert "learning_rate" not in folder.read("compare.json")["settings"]
