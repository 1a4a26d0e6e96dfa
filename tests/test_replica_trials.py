"""Two replicas and one device: every weighter, inputs, query data, clipping."""

import pytest

from tests.replica_trials import (
    MATRIX,
    OTHERS,
    Trial,
    greatest_difference,
    run,
)

QUICK = [
    Trial("uncertainty", separate=True, discriminator=True, rows=25),
    Trial("meta_weighting", rows=25, query_batch=3, steps_per_execution=3),
]


def check(trial, strategy, record=lambda *_: None):
    received = run(trial, strategy)
    expected = run(trial._replace(steps_per_execution=1))
    worst, place = greatest_difference(received, expected)
    record(f"{trial.name}, two replicas", worst)
    assert worst <= 1e-5, (worst, place)


@pytest.mark.parametrize("trial", QUICK, ids=lambda trial: trial.name)
def test_uneven_batches(strategy, trial):
    check(trial, strategy)


@pytest.mark.soak
@pytest.mark.parametrize("trial", MATRIX + OTHERS, ids=lambda t: t.name)
def test_every_weighter(strategy, trial, record_property):
    check(trial, strategy, record_property)
