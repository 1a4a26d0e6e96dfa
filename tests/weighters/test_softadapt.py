import numpy as np
import pytest

from keras_mtl.weighters import SoftAdapt
from tests.golden import golden_losses, golden_weights


def test_golden():
    softadapt = SoftAdapt()
    received = [softadapt(losses=row) for row in golden_losses()[0]]
    expected = golden_weights("SoftAdapt", "formula")
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_the_slowest_descent_gets_the_largest_weight():
    random = np.random.default_rng(0)
    for before, now in random.uniform(1.0, 3.0, (50, 2, 5)):
        softadapt = SoftAdapt(sharpness=3.0)
        softadapt(losses=before)
        weights = softadapt(losses=now).numpy()
        assert (np.argsort(weights) == np.argsort(now / before)).all()
        np.testing.assert_allclose(weights.sum(), 5.0, rtol=1e-6)


def test_momentum_averages_the_losses():
    softadapt = SoftAdapt(momentum=0.5)
    for losses in ([4.0, 1.0], [2.0, 1.0], [1.0, 1.0]):
        weights = softadapt(losses=losses)
    odds = np.exp([2.0 / 3.0, 1.0])  # Averages 4, 3, 2 and 1, 1, 1.
    np.testing.assert_allclose(weights, 2 * odds / odds.sum(), rtol=1e-6)


def test_a_task_that_begins_later_begins_with_ratio_one():
    softadapt = SoftAdapt()
    softadapt(losses=[2.0, 0.0], present=[1.0, 0.0])
    weights = softadapt(losses=[1.0, 5.0])
    odds = np.exp([0.5, 1.0])
    np.testing.assert_allclose(weights, 2 * odds / odds.sum(), rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"sharpness": -1},
            "Argument `sharpness` must be greater than 0. "
            "Received: sharpness=-1",
        ),
        (
            {"momentum": 1},
            "Argument `momentum` must be in the range [0, 1). "
            "Received: momentum=1",
        ),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError) as error:
        SoftAdapt(**arguments)
    assert str(error.value) == message
