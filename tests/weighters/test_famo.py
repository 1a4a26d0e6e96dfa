import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.weighters import FAMO
from tests.golden import golden, golden_weights


@pytest.mark.parametrize(
    ("tool", "weight_decay"),
    [("torchjd", 1e-3), ("LibMTL", 1e-3), ("FAMO", 1e-2)],
)
def test_golden(tool, weight_decay):
    case = golden()
    famo = FAMO(weight_decay=weight_decay)
    received = []
    for losses, after in zip(case["losses"], case["losses_after"], strict=True):
        received.append(famo(losses=losses).numpy())
        famo.observe(losses_after=after)
    expected = 3 * golden_weights("FAMO", tool)
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def fall(weighter, scales, steps):
    """Gradient descent on `s_k |θ - c_k|² / 2`; returns the losses."""
    centers = np.array([[1.0, 0.0], [-1.0, 0.5]])
    theta, losses = np.array([0.0, 8.0]), []
    weighter.bind(2)
    call, observe = (
        tf.function(method, autograph=False)
        for method in (weighter, weighter.observe)
    )

    def losses_at(theta):
        return 0.5 * scales * np.sum((theta - centers) ** 2, axis=1)

    for _ in range(steps):
        losses.append(losses_at(theta))
        weights = call(losses=tf.constant(losses[-1], "float32")).numpy()
        # One length for all: a step along the combined direction.
        gradient = (weights * scales) @ (theta - centers)
        theta = theta - 0.02 * gradient / np.linalg.norm(gradient)
        observe(losses_after=tf.constant(losses_at(theta), "float32"))
    return np.array(losses)


@pytest.mark.parametrize("unit", [1.0, 1e4])
def test_losses_of_unlike_scale_fall_at_one_relative_rate(unit):
    """Equal weights would follow the large loss alone."""
    losses = fall(FAMO(weight_decay=0.0), np.array([1.0, unit]), 300)
    first, second = np.log(losses[0] / losses[-1])
    np.testing.assert_allclose(first, second, rtol=0.05)


def test_the_slowest_task_gains_weight():
    famo = FAMO()
    shares = []
    for _ in range(10):
        famo(losses=[1.0, 1.0, 1.0])
        famo.observe(losses_after=[0.8, 0.9, 0.99])
        weights = famo(losses=[1.0, 1.0, 1.0]).numpy()
        np.testing.assert_allclose(weights.sum(), 3.0, rtol=1e-6)
        shares.append(weights[2])
    assert (np.diff(shares) > 0.0).all()


def test_losses_count_from_their_lowest_value():
    plain, from_two = FAMO(), FAMO(lowest=[2.0, 0.0])
    expected = plain(losses=[1.0, 2.0])
    np.testing.assert_allclose(from_two(losses=[3.0, 2.0]), expected, rtol=1e-6)
    weights = FAMO(lowest=5.0)(losses=[1.0, 1.0])  # As if they were there.
    np.testing.assert_array_equal(weights, [1.0, 1.0])


def test_an_absent_task_keeps_weight_and_state():
    famo = FAMO()
    famo(losses=[1.0, 2.0, 3.0])
    famo.observe(losses_after=[0.9, 1.9, 2.9])
    kept = famo.task_weights.numpy()[2], famo.logits.numpy()[2]
    present = [1.0, 1.0, 0.0]
    weights = famo(losses=[1.0, 2.0, 0.0], present=present).numpy()
    famo.observe(losses_after=[0.9, 1.9, 0.0], present=present)
    assert (weights[2], famo.logits.numpy()[2]) == kept
    np.testing.assert_allclose(weights.sum(), 3.0, rtol=1e-6)


def test_lowest_by_task():
    famo = FAMO(lowest={"tone": 1.0, "stars": 0.0})
    famo.bind(2, ("stars", "tone"))
    assert famo.floor == [0.0, 1.0]
    with pytest.raises(ValueError, match="`lowest` must name the model's"):
        FAMO(lowest={"tone": 1.0}).bind(2, ("stars", "tone"))


def test_arguments_out_of_range():
    with pytest.raises(ValueError, match="`learning_rate` must be greater"):
        FAMO(learning_rate=0.0)
    with pytest.raises(ValueError, match="`weight_decay` must be at least 0"):
        FAMO(weight_decay=-1.0)
