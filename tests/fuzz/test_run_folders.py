"""Folders of runs: what a run goes on from, or a clear error."""

import json
import shutil
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_mtl.lab.comparisons.summary import summary
from keras_mtl.lab.runs.checkpoints import _checksum
from keras_mtl.lab.runs.folder import RunFolder
from keras_mtl.lab.runs.running import train
from tests.fuzz.limits import clear_end, examples
from tests.fuzz.mutations import binaries, texts
from tests.lab.runs.small_run import SmallExperiment

RESULTS = ("config.json", "versions.json", "history.json", "metrics.json")
CHECKPOINT = ("state.json", "checksums.json", "weights.npy", "model.keras")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run as if it were both finished and not."""
    out = tmp_path_factory.mktemp("run") / "run"
    train(SmallExperiment(epochs=2), out, diagnose=True)
    for epoch in (1, 2):
        folder = out / "checkpoints" / f"epoch_{epoch:05d}"
        folder.mkdir(parents=True)
        state = {"epochs_done": epoch, "best_epoch": 1, "history": {}}
        (folder / "state.json").write_text(json.dumps(state))
        (folder / "model.keras").write_bytes(b"a model")
        np.save(folder / "weights.npy", np.ones((2, 2)), allow_pickle=False)
        sums = {path.name: _checksum(path) for path in folder.iterdir()}
        (folder / "checksums.json").write_text(json.dumps(sums))
    return out


def check(whole, out, data):
    experiment = SmallExperiment(epochs=2)
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(whole, out)
    name = data.draw(st.sampled_from(RESULTS + CHECKPOINT))
    path = out / name
    if name in CHECKPOINT:
        path = out / "checkpoints" / "epoch_00002" / name
    content = path.read_bytes()
    if path.suffix == ".json":
        path.write_bytes(data.draw(texts(json.loads(content))))
    else:
        path.write_bytes(data.draw(binaries(content)))
    damaged = name in CHECKPOINT and path.read_bytes() != content
    with clear_end(ValueError):
        summary(experiment, out)
        assert isinstance(train(experiment, out, resume=True), dict)
    with clear_end(ValueError), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        folder = RunFolder(out, experiment.config(), resume=True)
        state, weights = folder.checkpoints.latest()
        # Checksums may be written in another way.
        if name != "checksums.json":
            assert state["epochs_done"] == (1 if damaged else 2)
        assert weights.shape == (2, 2)


@examples(100)
@given(st.data())
def test_run_folders(whole, tmp_path_factory, data):
    check(whole, tmp_path_factory.getbasetemp() / "out", data)


@pytest.mark.soak
@examples(3_000)
@given(st.data())
def test_many_run_folders(whole, tmp_path_factory, data):
    check(whole, tmp_path_factory.getbasetemp() / "out", data)
