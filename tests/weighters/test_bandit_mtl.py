import numpy as np
import pytest

from keras_mtl.weighters import BanditMTL, make
from tests.golden import golden_losses, golden_weights


def divergence(weights):
    p = np.float64(weights) / len(weights)
    return np.sum(p * np.log(np.maximum(len(p) * p, 1e-300)))


def test_radius_0_is_uniform():
    bandit = BanditMTL(radius=0.0)
    for losses in ([1.0, 5.0, 2.0], [0.0, 0.0, 1e15]):
        np.testing.assert_array_equal(bandit(losses=losses), np.ones(3))


def test_a_radius_of_log_k_does_not_bind():
    bandit = BanditMTL(radius=np.log(3), step_size=0.5)
    random, total = np.random.default_rng(0), np.zeros(3)
    for _ in range(20):
        losses = random.random(3)
        total += losses
        weights = bandit(losses=losses)
        expected = 3 * np.exp(0.5 * total) / np.exp(0.5 * total).sum()
        np.testing.assert_allclose(weights, expected, rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-10, 1.0, 100.0, 1e15])
@pytest.mark.parametrize("radius", [1e-3, 0.1, 0.5])
def test_probabilities_stay_in_the_ball(radius, scale):
    random = np.random.default_rng(0)
    bandit = BanditMTL(radius=radius)
    for _ in range(5):
        losses = scale * random.random(5)
        weights = bandit(losses=losses).numpy()
        np.testing.assert_allclose(weights.sum(), 5.0, rtol=1e-6)
        assert divergence(weights) <= radius * (1 + 1e-4) + 1e-7
    if scale >= 100.0:  # The last step leaves the ball: onto its surface.
        np.testing.assert_allclose(divergence(weights), radius, rtol=1e-3)


def test_one_task_takes_96_percent_at_the_default_radius():
    bandit = BanditMTL()
    weights = bandit(losses=[100.0, 1.0, 1.0, 1.0])
    np.testing.assert_allclose(weights[0] / 4, 0.966, atol=5e-4)


def test_absent_task_keeps_its_weight_and_the_ball_holds():
    random = np.random.default_rng(0)
    bandit = BanditMTL(radius=0.4)
    weights = bandit(losses=random.random(4)).numpy()
    for _ in range(20):
        present = np.float32(random.random(4) < 0.6)
        losses = present * 5 * random.random(4)
        before, weights = weights, bandit(losses=losses, present=present)
        weights = weights.numpy()
        absent = present == 0
        np.testing.assert_allclose(weights[absent], before[absent], rtol=1e-6)
        np.testing.assert_allclose(weights.sum(), 4.0, rtol=1e-5)
        assert divergence(weights) <= 0.4 * (1 + 1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"radius": -0.1},
            "Argument `radius` must be at least 0. Received: radius=-0.1",
        ),
        (
            {"step_size": 0},
            "Argument `step_size` must be greater than 0. "
            "Received: step_size=0",
        ),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError) as error:
        BanditMTL(**arguments)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("step_size", "method"), [(0.01, "GroupDRO"), (0.5, "GroupDRO(0.5)")]
)
def test_without_a_radius_it_is_group_dro(step_size, method):
    """Also with a radius of log K, which does not bind."""
    expected = golden_weights(method, "ExcessMTL")
    wide = BanditMTL(np.log(3), step_size)
    for weighter in (make("group_dro", step_size=step_size), wide):
        received = [weighter(losses=row) for row in golden_losses()[0]]
        np.testing.assert_allclose(received, expected, rtol=1e-5)
