import numpy as np
import pytest

from keras_mtl.weighters import ReLoBRaLo
from tests.golden import golden_losses, golden_weights
from tests.weighters.by_row import call_by_row


@pytest.mark.parametrize("lookback", [0, 1])
def test_golden(lookback):
    relobralo = ReLoBRaLo(lookback=lookback)
    received = [relobralo(losses=row) for row in golden_losses()[0]]
    expected = golden_weights(f"ReLoBRaLo(rho={lookback})", "formula")
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_each_step_is_one_of_the_two_and_as_often_as_asked():
    """At momentum 1/2 the two ways differ by half of the past's difference."""
    random, rate = np.random.default_rng(0), 0.3
    relobralo = ReLoBRaLo(0.5, lookback=rate, temperature=2.0, seed=5)
    relobralo.bind(3)
    rows = random.uniform(0.5, 2.0, (401, 3))
    received = call_by_row(relobralo, {"losses": rows}).astype("float64")
    first = previous = rows[0]
    weights = received[0]
    stayed = []

    def balanced(losses, others):
        odds = np.exp(losses / others / 2.0)
        return 3 * odds / odds.sum()

    for losses, after in zip(rows[1:], received[1:], strict=True):
        pasts = np.stack([balanced(losses, first), weights])
        ways = (pasts + balanced(losses, previous)) / 2
        weights = after
        gaps = np.abs(ways - weights).max(1)
        assert gaps.min() < 1e-6
        stayed.append(gaps.argmin())
        previous = losses
    # Five standard deviations of a mean of 400 draws.
    assert abs(np.mean(stayed) - rate) < 5 * np.sqrt(rate * (1 - rate) / 400)


def test_present_tasks_share_what_absent_ones_leave():
    relobralo = ReLoBRaLo(0.5, seed=0)
    for losses in ([1.0, 2.0, 3.0], [2.0, 1.0, 3.0]):
        kept = relobralo(losses=losses).numpy()[2]
    weights = relobralo(losses=[1.0, 3.0, 0.0], present=[1.0, 1.0, 0.0])
    np.testing.assert_allclose(weights[2], kept)
    np.testing.assert_allclose(np.sum(weights), 3.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"temperature": 0},
            "Argument `temperature` must be greater than 0. "
            "Received: temperature=0",
        ),
        (
            {"lookback": 1.1},
            "Argument `lookback` must lie between 0 and 1. "
            "Received: lookback=1.1",
        ),
        (
            {"momentum": 1.0},
            "Argument `momentum` must be in the range [0, 1). "
            "Received: momentum=1.0",
        ),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError) as error:
        ReLoBRaLo(**arguments)
    assert str(error.value) == message
