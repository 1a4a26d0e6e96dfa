import numpy as np
import pytest

from keras_mtl.weighters import CoVWeighting
from tests.golden import golden_losses, golden_weights
from tests.weighters.by_row import call_by_row


@pytest.mark.parametrize(
    ("momentum", "method"),
    [(None, "CoVWeighting"), (0.9, "CoVWeighting(0.9)")],
)
def test_golden(momentum, method):
    cov = CoVWeighting(momentum)
    received = [cov(losses=row) for row in golden_losses()[0]]
    expected = 3 * golden_weights(method, "cov-weighting")
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_300_steps_follow_numpys_deviations():
    """The weights of the mean and the deviation of all ratios so far."""
    losses = np.exp(np.random.default_rng(0).normal(size=(300, 3)))
    cov, ratios = CoVWeighting(), np.ones((300, 3))
    cov.bind(3)
    received = call_by_row(cov, {"losses": losses})
    for step, (row, weights) in enumerate(zip(losses, received, strict=True)):
        past = ratios[:step]
        expected = np.ones(3)
        if step >= 2:
            ratio = np.sqrt(past.var(0) + 1e-8) / past.mean(0)
            expected = 3 * ratio / ratio.sum()
        np.testing.assert_allclose(weights, expected, rtol=1e-4)
        if step:
            ratios[step] = row / losses[:step].mean(0)


def test_constant_losses_are_weighted_alike():
    cov = CoVWeighting()
    for _ in range(50):
        weights = cov(losses=[0.1, 3.7, 1e4])
    np.testing.assert_allclose(weights, 1.0, rtol=1e-5)


def test_a_task_seen_once_keeps_its_initial_weight():
    cov = CoVWeighting()
    for losses in ([1.0, 1.0, 0.0], [2.0, 1.5, 0.0], [1.0, 1.0, 0.0]):
        cov(losses=losses, present=[1.0, 1.0, 0.0])
    weights = cov(losses=[1.0, 1.0, 1.0]).numpy()
    np.testing.assert_allclose(weights[:2].sum(), 2.0, rtol=1e-6)
    assert weights[2] == 1.0
    assert weights[0] > weights[1]


def test_error():
    with pytest.raises(ValueError) as error:
        CoVWeighting(momentum=1.0)
    assert str(error.value) == (
        "Argument `momentum` must be in the range [0, 1). "
        "Received: momentum=1.0"
    )
