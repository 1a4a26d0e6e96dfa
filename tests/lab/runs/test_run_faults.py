"""What breaks a run of an experiment: nothing is lost, and the user is told."""

import json
import random
import shutil
import signal

import keras
import pytest
import tensorflow as tf

from keras_mtl.lab.runs import running
from keras_mtl.lab.runs.batches import epoch_batches
from keras_mtl.lab.runs.checkpoints import Checkpoints
from keras_mtl.lab.runs.running import train
from tests.lab.runs.runs import assert_same_results, run_script
from tests.lab.runs.small_run import SmallExperiment

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning"
)
KILLS = 60


class Stop(Exception):
    """Not what a run knows of."""


class StopIn(keras.callbacks.Callback):
    """Stops training in an epoch, from 0."""

    def __init__(self, epoch):
        super().__init__()
        self._epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self._epoch:
            raise Stop


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder of a run that was stopped after its fourth epoch."""
    out = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.raises(Stop):
        train(SmallExperiment(), out, callbacks=[StopIn(4)], save_seconds=0.0)
    return out


def resume(out, **arguments):
    return train(SmallExperiment(), out, True, save_seconds=0.0, **arguments)


def kill_until_finished(out, longest, rng):
    """Kills and resumes a run; returns how often."""
    kills = 0
    while not (out / "metrics.json").exists():
        done = run_script(out, "later", rng.uniform(0.0, longest))
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        kills += done.returncode != 0
    return kills


@pytest.mark.soak
def test_many_kills_at_random_moments(whole, tmp_path):
    rng = random.Random(0)
    longest = float(run_script(tmp_path / "timed").stdout)
    kills, finished = [], 0
    while sum(kills) < KILLS:
        out = tmp_path / f"run_{finished}"
        kills.append(kill_until_finished(out, longest, rng))
        assert_same_results(out, whole)
        finished += 1
    print(f"{sum(kills)} kills in {finished} runs: {kills}")


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.keras", lambda path: cut(path, 0.9)),
        ("model.keras", flip),
        ("state.json", lambda path: path.unlink()),
        ("checksums.json", lambda path: cut(path, 0.0)),
    ],
)
def test_a_checkpoint_cut_short(whole, stopped, tmp_path, name, damage):
    out = tmp_path / "run"
    shutil.copytree(stopped, out)
    latest = out / "checkpoints" / "epoch_00004"
    damage(latest / name)
    with pytest.warns(UserWarning, match="is damaged") as told:
        resume(out)
    assert str(told[0].message).startswith(
        f"The checkpoint '{latest}' is damaged: "
    )
    assert str(told[0].message).endswith(
        "Going on from epoch 3; the result will be the same."
    )
    assert_same_results(out, whole)


def test_a_run_without_a_whole_checkpoint_begins_anew(whole, stopped, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(stopped, out)
    for path in out.glob("checkpoints/*/model.keras"):
        cut(path, 0.5)
    with pytest.warns(UserWarning, match="Going on from the start; the result"):
        resume(out)
    assert_same_results(out, whole)


def test_the_best_epoch_damaged_at_the_end(whole, stopped, tmp_path):
    """It is only read then; a second call goes back as far as it must."""
    out = tmp_path / "run"
    shutil.copytree(stopped, out)
    best = json.loads((whole / "metrics.json").read_text())["epoch"]
    path = out / "checkpoints" / f"epoch_{best:05d}"

    class Damage(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            cut(path / "model.keras", 0.5)

    with pytest.raises(ValueError) as error:
        resume(out, callbacks=[Damage()])
    assert str(error.value) == (
        f"The checkpoint '{path}' is damaged: model.keras is not what was "
        "saved. Pass --resume to go on from an earlier one."
    )
    with pytest.warns(UserWarning, match="is damaged: model.keras"):
        resume(out)
    assert_same_results(out, whole)


def test_checkpoints_that_are_kept(stopped):
    """The latest two, and the epochs that they call the best."""
    checkpoints = Checkpoints(stopped / "checkpoints")
    best = {checkpoints._state(epoch)["best_epoch"] for epoch in (3, 4)}
    kept = {int(p.name[-5:]) for p in (stopped / "checkpoints").iterdir()}
    assert kept == {3, 4, *best}


def test_an_interrupt_by_the_user_then_a_full_disk(whole, tmp_path):
    out = tmp_path / "run"
    interrupted = run_script(out, "interrupt", 2)
    assert interrupted.returncode == 130
    assert interrupted.stderr.endswith(
        f"Interrupted. What was saved in '{out}' is whole. Pass --resume to "
        "go on.\n"
    )
    assert (out / "checkpoints" / "epoch_00002").exists()
    full = run_script(out, "full", 3)
    assert full.returncode == 1
    assert full.stderr.endswith(
        f"Error: The output folder '{out}' cannot be written to: File too "
        "large. What was saved before is whole: make room, and go on by "
        "--resume; `compare` goes on by itself.\n"
    )
    assert not [*out.glob("**/*.partial")]
    resume(out)
    assert_same_results(out, whole)


def test_data_that_raise_in_the_middle_of_a_run(whole, tmp_path, monkeypatch):
    def unplugged(*arguments):
        batches = epoch_batches(*arguments).enumerate()
        return batches.map(
            lambda step, batch: (
                tf.numpy_function(check, [step], step.dtype),
                batch,
            )
        ).map(lambda _, batch: batch)

    def check(step):
        if step == 20:
            raise OSError("the disk is unplugged")
        return step

    out = tmp_path / "run"
    monkeypatch.setattr(running, "epoch_batches", unplugged)
    with pytest.raises(tf.errors.OpError, match="the disk is unplugged"):
        resume(out)
    monkeypatch.undo()
    assert {path.name for path in (out / "checkpoints").iterdir()} >= {
        "epoch_00003"
    }
    resume(out)
    assert_same_results(out, whole)
