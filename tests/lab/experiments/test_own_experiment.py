"""An experiment of a user's, by the name of its class."""

import sys
import textwrap

import pytest

import keras_mtl_command
from keras_mtl.lab.comparisons.folder import ComparisonFolder
from keras_mtl.lab.experiments import make_experiment

MINE = """
import dataclasses
import keras, numpy as np
from keras_mtl import MultiTaskModel
from keras_mtl.lab import ClassificationExperiment, Parts

@dataclasses.dataclass(frozen=True, kw_only=True)
class Mine(ClassificationExperiment):
    epochs: int = 1
    rows: int = 24

    def load(self):
        x = np.random.default_rng(self.seed).normal(size=(self.rows, 3))
        y = {"up": (x[:, 0] > 0) * 1, "big": (x[:, 1] > 1) * 1}
        return Parts(*[(x.astype("float32"), y)] * 3)

    def build(self, parts):
        heads = {t: keras.layers.Dense(2, "softmax") for t in parts.train[1]}
        return MultiTaskModel(keras.layers.Dense(4), heads)
"""


def test_compare_runs_an_experiment_of_ones_own(tmp_path, monkeypatch, capfd):
    """The command here, which looks in the folder, and a real worker."""
    (tmp_path / "mine.py").write_text(textwrap.dedent(MINE))
    words = ["compare", "mine:Mine", "--out", "out", "--methods", "uniform"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["keras-mtl", *words])
    # As a script finds modules: not from where it was called.
    elsewhere = [place for place in sys.path if place not in ("", ".")]
    monkeypatch.setattr(sys, "path", elsewhere)
    with pytest.raises(SystemExit) as ended:
        keras_mtl_command.main()
    assert not ended.value.code, capfd.readouterr()
    monkeypatch.delitem(sys.modules, "mine")
    folder = ComparisonFolder(tmp_path / "out")
    assert folder.read("compare.json")["experiment"] == "mine:Mine"
    content = folder.read("cells/uniform/seed_0.json")
    assert content["status"] == "finished"
    assert content["config"]["rows"] == 24
    assert set(content["metrics"]["test_accuracy_by_task"]) == {"up", "big"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:Mine", "cannot be imported: No module named 'nowhere'"),
        ("math:Mine", "cannot be imported: module 'math' has no attribute"),
        ("math:pi", "'math:pi' is no experiment"),
    ],
)
def test_what_is_no_experiment_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        make_experiment(name)
