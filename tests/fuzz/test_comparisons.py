"""Folders of comparisons: a report, or a clear error."""

import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_mtl.lab.comparisons.cells import Cell
from keras_mtl.lab.comparisons.folder import ComparisonFolder
from keras_mtl.lab.comparisons.report import page
from keras_mtl.lab.comparisons.report.gaps import gaps
from keras_mtl.lab.comparisons.report.reading import read_comparison
from tests.fuzz.limits import clear_end, examples
from tests.fuzz.mutations import texts
from tests.lab.comparisons.report.synthetic import write_comparison

# Losses and scores near the ends of float32 are no errors.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
SMALL = {
    "methods": ("uniform", "slaw"),
    "tasks": ("a", "b"),
    "sweeps": {"step_size": [0.5]},
    "plain_values": {"slaw": {"step_size": 0.1}},
    "seeds": 2,
}
NAMES = (
    "compare.json",
    "cells/uniform/seed_0.json",
    "cells/slaw/seed_1.json",
    "cells/meta_weighting@step_size=0.5/seed_0.json",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    write_comparison(folder, **SMALL)
    for path in folder.glob("cells/*/*.json"):
        content = json.loads(path.read_text())
        # As short as can be drawn.
        for name, values in content["history"].items():
            content["history"][name] = values[:3]
        content["weights"] = {"steps": [1, 2], "values": [[1, 1], [0.5, 1.5]]}
        path.write_text(json.dumps(content))
    return folder


def check(whole, out, data, pictures):
    name = data.draw(st.sampled_from(NAMES))
    document = json.loads((whole / name).read_text())
    changed = data.draw(texts(document))
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(whole, out)
    (out / name).write_bytes(changed)
    with clear_end(ValueError), pytest.MonkeyPatch.context() as patch:
        if not pictures:
            patch.setattr(page, "PICTURES", ())
        comparison = read_comparison(out)
        page.write_report(comparison, out / "report")
        for measure in ("error", "loss"):
            gaps(comparison, measure)
    folder, cell = ComparisonFolder(out), Cell("slaw", 1)
    with clear_end(ValueError):
        folder.metric(cell, "test_accuracy")
    plan = json.loads((whole / "compare.json").read_text())
    with clear_end(ValueError), folder.opened(plan):
        pass


@examples(60)
@given(st.data())
def test_results(whole, tmp_path_factory, data):
    check(whole, tmp_path_factory.getbasetemp() / "out", data, False)


@pytest.mark.soak
@examples(4_000)
@given(st.data())
def test_many_results(whole, tmp_path_factory, data):
    check(whole, tmp_path_factory.getbasetemp() / "out", data, False)


@pytest.mark.soak
@examples(300)
@given(st.data())
def test_pictures_of_many_results(whole, tmp_path_factory, data):
    check(whole, tmp_path_factory.getbasetemp() / "out", data, True)
