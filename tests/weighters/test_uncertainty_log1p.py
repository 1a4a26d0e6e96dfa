import numpy as np
import pytest

from keras_mtl.weighters import Uncertainty
from tests.golden import golden_losses, golden_weights
from tests.weighters.trained import weights_while_trained


def test_golden():
    weighter = Uncertainty(penalty="log1p")
    received = weights_while_trained(weighter, golden_losses()[0])
    expected = golden_weights("Uncertainty(log1p)", "AutomaticWeightedLoss")
    np.testing.assert_allclose(received, expected, rtol=1e-5)


@pytest.mark.parametrize("deviation", [1.0, 1e-3, 0.0, -2.0])
def test_the_penalty_is_not_negative(deviation):
    weighter = Uncertainty(penalty="log1p")
    weighter.bind(2)
    weighter.deviation.assign([deviation, 1.0])
    weights = weighter(losses=[1.0, 2.0]).numpy()
    assert np.isfinite(weights).all()
    (penalty,) = weighter.losses
    expected = np.log1p(deviation**2) + np.log(2.0)
    np.testing.assert_allclose(penalty, expected, rtol=1e-6)
    assert penalty > 0.0


def test_deviations_reach_their_closed_form():
    """The optimum of L / 2v + log(1 + v) is v = (L + √(L² + 8L)) / 4."""
    losses = np.array([0.5, 2.0])
    steps = np.tile(losses, (400, 1))
    weighter = Uncertainty(penalty="log1p")
    weights = weights_while_trained(weighter, steps)[-1]
    variance = (losses + np.sqrt(losses**2 + 8 * losses)) / 4
    np.testing.assert_allclose(weights, 0.5 / variance, rtol=1e-4)


def test_absent_task_keeps_its_deviation():
    weighter, steps = Uncertainty(penalty="log1p"), np.tile([0.0, 2.0], (5, 1))
    weights = weights_while_trained(weighter, steps, present=[0.0, 1.0])[-1]
    np.testing.assert_allclose(weights[0], 0.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"penalty": "log2"},
            "Argument `penalty` must be one of ['log', 'log1p']. "
            "Received: penalty='log2'. Did you mean 'log'?",
        ),
        (
            {"penalty": "log1p", "kind": "regression"},
            "Argument `kind` has no use with penalty='log1p', whose weights "
            "are the same for all kinds. Received: kind='regression'. Leave "
            "it out.",
        ),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError) as error:
        Uncertainty(**arguments)
    assert str(error.value) == message
