import numpy as np
import pytest

from keras_mtl.weighters import MGDA, SLAW, OfLogLosses, Scheduled

LOSSES = [0.5, 1.0, 4.0]  # Reciprocals 2, 1, 1/4, whose mean is 13/12.
OWN, MEAN = np.array([2.0, 1.0, 0.25]), 13 / 12


@pytest.mark.parametrize(
    ("start", "ramp", "epoch", "share"),
    [
        (2, 0, 0, 0.0),
        (2, 0, 1, 0.0),
        (2, 0, 2, 1.0),
        (0, 0, 0, 1.0),
        (1, 4, 1, 0.0),
        (1, 4, 2, 0.25),
        (1, 4, 5, 1.0),
        (1, 4, 50, 1.0),
    ],
)
def test_from_equal_weights_to_the_inner_ones(start, ramp, epoch, share):
    scheduled = Scheduled("log_losses", start, ramp)
    weights = scheduled(losses=LOSSES, epoch=epoch)
    expected = MEAN + share * (OWN - MEAN)
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_per_step_it_counts_its_own_calls():
    scheduled = Scheduled("log_losses", start=1, ramp=2, per="step")
    assert "epoch" not in scheduled.needs
    for share in (0.0, 0.0, 0.5, 1.0, 1.0):
        expected = MEAN + share * (OWN - MEAN)
        np.testing.assert_allclose(
            scheduled(losses=LOSSES), expected, rtol=1e-6
        )


def test_the_inner_weighter_learns_from_the_first_step_on():
    scheduled, alone = Scheduled(SLAW(), start=3), SLAW()
    losses = np.random.default_rng(0).uniform(0.5, 2.0, (5, 3))
    for epoch, row in enumerate(losses):
        weights, inner = scheduled(losses=row, epoch=epoch), alone(losses=row)
        expected = inner if epoch >= 3 else np.ones(3)
        np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_equal_weights_have_the_inner_ones_sum_and_heads_follow():
    gramian = np.diag([1.0, 3.0])
    weights = Scheduled(MGDA(), start=1)(gramian=gramian, epoch=0)
    np.testing.assert_allclose(weights, 0.5)
    scheduled = Scheduled(OfLogLosses(MGDA()), start=1)
    both = scheduled.weigh(
        gramian=gramian, losses=[1.0, 0.5], present=[1.0, 1.0], epoch=0
    )
    np.testing.assert_allclose(both.heads, 1.5, rtol=1e-6)


def test_absent_tasks_do_not_count_in_the_mean():
    scheduled = Scheduled(MGDA(), start=1)
    gramian = np.diag([1.0, 1.0, 0.0])
    weights = scheduled(gramian=gramian, present=[1.0, 1.0, 0.0], epoch=0)
    np.testing.assert_allclose(weights[:2], 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"start": -1},
            "Argument `start` must be at least 0. Received: start=-1",
        ),
        (
            {"per": "epochs"},
            "Argument `per` must be one of ['epoch', 'step']. "
            "Received: per='epochs'. Did you mean 'epoch'?",
        ),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError) as error:
        Scheduled("slaw", **arguments)
    assert str(error.value) == message


def test_error_without_epoch():
    with pytest.raises(ValueError, match="needs the signal `epoch`"):
        Scheduled("slaw")(losses=[1.0, 2.0])
