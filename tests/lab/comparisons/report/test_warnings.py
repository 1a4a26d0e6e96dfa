import json

import pytest

from keras_mtl.lab.comparisons.report import warnings
from tests.lab.comparisons.report.outline import TASKS, make, outline
from tests.lab.comparisons.report.synthetic import cell, write


@pytest.mark.parametrize("value", [3, None])
@pytest.mark.parametrize(("name", "others"), [("threads", 1), ("jobs", 2)])
def test_costs_on_unlike_terms_are_not_compared(tmp_path, name, others, value):
    def change(cells):
        path = cells / "slaw" / "seed_0.json"
        content = json.loads(path.read_text("utf-8"))
        write(cells, "slaw/seed_0.json", {**content, name: value})

    comparison = make(tmp_path, seeds=1, change=change)
    page = outline(tmp_path, comparison)
    wall, processor = next(r for r in page.rows if r[0] == "slaw")[6:]
    assert wall == "not comparable"
    # Other work on the machine hardly changes it, other threads do.
    assert (processor == "not comparable") == (name == "threads")
    assert warnings.mixed_conditions(comparison) == [
        f"The runs differ in their {name}: {others}; {value or 'unknown'}."
    ]


def test_costs_on_terms_that_nobody_wrote_down_are_not_compared(tmp_path):
    def change(cells):
        for path in cells.glob("*/*.json"):
            content = json.loads(path.read_text("utf-8"))
            del content["jobs"]
            path.write_text(json.dumps(content), "utf-8")

    page = outline(tmp_path, make(tmp_path, seeds=1, change=change))
    for method in ("slaw", "stl"):
        row = next(row for row in page.rows if row[0] == method)
        assert row[6] == "not comparable" != row[7]


def test_weights_that_vanish_are_told(tmp_path):
    def change(cells):
        content = cell("slaw", 1, TASKS)
        content["history"]["b_weight"][3:5] = [1e-4, 1e-4]
        write(cells, "slaw/seed_1.json", content)

    comparison = make(tmp_path, change=change)
    line = (
        "slaw: the weight of 'b' all but vanished, or was negative, for 2 "
        "epochs with seed 1."
    )
    assert warnings.starved_tasks(comparison) == [line]
    assert line in outline(tmp_path, comparison).texts["li"]
