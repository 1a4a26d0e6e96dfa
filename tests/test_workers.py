"""Workers, each a process, on a global batch do what one device does on it."""

import json

import pytest

from keras_mtl import weighters
from tests import workers
from tests.replica_trials import (
    MATRIX,
    OTHERS,
    Trial,
    greatest_difference,
    run,
)

KILLED = Trial("slaw", rows=25, epochs=4, metrics=True)
QUICK = [
    Trial("meta_weighting", separate=True, rows=25, query_batch=3),
    # Without updates the means of an epoch have every row once.
    Trial("constant", missing=False, shuffle=True, learning_rate=0.0),
]


def check(num_workers, trials, folder, record=lambda *_: None):
    every = workers.results(
        num_workers,
        {"folder": str(folder), "trials": [t._asdict() for t in trials]},
    )
    compare(every, trials, record)


def compare(every, trials, record=lambda *_: None):
    failures = []
    for number, trial in enumerate(trials):
        expected = run(trial)
        for k, of_worker in enumerate(every):
            worst, place = greatest_difference(of_worker[number], expected)
            record(f"{trial}, worker {k} of {len(every)}", worst)
            if worst > 1e-5:
                failures.append((trial, k, worst, place))
    assert not failures


@pytest.mark.soak
@pytest.mark.parametrize("num_workers", [2, 3])
@pytest.mark.parametrize("name", [*weighters.CATALOGUE, "others"])
def test_every_weighter(tmp_path, name, num_workers, record_property):
    trials = [trial for trial in MATRIX if trial.weighter == name] or OTHERS
    check(num_workers, trials, tmp_path, record_property)


@pytest.mark.slow
def test_two_workers_do_what_one_device_does_though_one_is_killed(tmp_path):
    """SIGKILL in the midst of an epoch; all start again, and do the rest."""
    every = killed_and_finished(tmp_path, KILLED, 2, [(1, 2, 1)], QUICK)
    compare([of_worker[1:] for of_worker in every], QUICK)


@pytest.mark.soak
def test_every_worker_is_killed(tmp_path):
    trial = Trial("uncertainty", separate=True, epochs=8)
    kills = [(0, 0, 2), (2, 1, 0), (1, 4, 3), (0, 7, 1)]
    killed_and_finished(tmp_path, trial, 3, kills)


def killed_and_finished(folder, trial, num_workers, kills, others=()):
    """Kills workers at `(worker, epoch, batch)`, then lets them finish.

    Returns:
        The results of all workers: of this trial, and of the others after it.
    """
    backup = folder / "backup"
    job = {"folder": str(folder), "backup": str(backup)}
    job["trials"] = [t._asdict() for t in (trial, *others)]
    for worker, epoch, batch in kills:
        with workers.started(num_workers, job) as processes:
            lines = map(json.loads, processes[worker].stdout)
            assert [worker, epoch, batch] in lines
            processes[worker].kill()
        epochs = [path.name for path in backup.glob("*")]
        assert epochs == [f"epoch_{epoch:08d}.weights.h5"] * bool(epoch)
    every = workers.results(num_workers, job)
    assert not [*backup.glob("*")]
    expected = run(trial)
    for received, *_ in every:
        rest = trial.epochs - kills[-1][1]
        assert len(received["history/loss"]) == rest
        latest = {
            name: value[-rest:] if "history" in name else value
            for name, value in expected.items()
        }
        worst, place = greatest_difference(received, latest)
        assert worst <= 1e-5, place
    return every
