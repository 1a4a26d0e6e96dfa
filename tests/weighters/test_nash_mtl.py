import numpy as np
import pytest

from keras_mtl.weighters import Every, NashMTL
from tests.weighters.gramians import (
    expect_golden,
    family,
    golden_updates,
    of_units,
    random_jacobians,
    weigh_all,
)


def test_golden_updates():
    expect_golden(NashMTL(max_norm=0.0), 2e-5, "NashMTL(max_norm=0)")


def test_golden_updates_of_norm_one():
    """TorchJD's, where its solver converges: not with a zero row."""
    for jacobian, gramian, expected in golden_updates(
        "NashMTL(max_norm=1)", "torchjd"
    ):
        if np.linalg.norm(jacobian, axis=1).min() > 0.0:
            update = np.float64(NashMTL()(gramian=gramian)) @ jacobian
            assert np.linalg.norm(update - expected) <= 2e-5
            assert np.linalg.norm(update) == pytest.approx(1.0, rel=1e-5)


def test_gain_times_weight_is_one():
    """1,000 Gramians of all families, 1e-10 to 1e15, K = 5.

    Error of a task's equation, relative to its terms: worst 1.4e-6, median
    8e-7, of which the ridge is 1.5e-6. So the product of gain and weight is 1
    within 7e-5 for plain, scaled and parallel gradients; float32 cannot tell
    it where gradients cancel. In float64 the equation with the ridge holds
    to 6e-9.
    """
    jacobians = random_jacobians()
    norms, cosines = of_units(jacobians)
    weights, exact = weigh_all(NashMTL(0.0), jacobians)
    parts = weights * norms
    gains = np.einsum("nij,nj->ni", cosines, parts)
    terms = np.einsum("nij,nj->ni", np.abs(cosines), parts)
    assert (np.abs(gains - 1.0 / parts) / terms).max() <= 3e-6
    for name in ("plain", "scaled", "parallel"):
        assert family(name, np.abs(gains * parts - 1.0)).max() <= 2e-4
    parts = exact * norms
    gains = np.einsum("nij,nj->ni", cosines, parts) + 1.5e-6 * parts
    assert np.abs(gains * parts - 1.0).max() <= 1e-7


def test_the_updates_norm_is_the_square_root_of_the_number_of_tasks():
    for row in random_jacobians()[:50:10]:
        update = np.float64(NashMTL(0.0)(gramian=row @ row.T)) @ row
        assert np.linalg.norm(update) == pytest.approx(5**0.5, rel=1e-4)
        clipped = np.float64(NashMTL(0.7)(gramian=row @ row.T)) @ row
        np.testing.assert_allclose(clipped, update * 0.7 / 5**0.5, rtol=1e-3)


def test_the_scale_of_a_gradient_does_not_count():
    row = random_jacobians()[0]
    weights = np.float64(NashMTL()(gramian=row @ row.T))
    scales = np.array([1.0, 1e-3, 1.0, 1e3, 1.0])
    scaled = scales[:, None] * row
    other = np.float64(NashMTL()(gramian=scaled @ scaled.T))
    np.testing.assert_allclose(other * scales, weights, rtol=1e-4)


def test_two_tasks_have_a_closed_form():
    """By hand: unit gradients of cosine c weigh 1 / sqrt(1 + c) each."""
    for cosine in (-0.9, 0.0, 0.5):
        gramian = [[1.0, 2.0 * cosine], [2.0 * cosine, 4.0]]
        weights = NashMTL(0.0)(gramian=gramian)
        expected = (1.0 + cosine) ** -0.5 / np.array([1.0, 2.0])
        np.testing.assert_allclose(weights, expected, rtol=1e-5)


def test_opposite_gradients_move_nothing():
    gramian = np.float32([[1.0, -2.0], [-2.0, 4.0]])
    for scale in (1e-10, 1.0, 1e15):
        norms = np.sqrt(scale) * np.array([1.0, 2.0])
        parts = np.float64(NashMTL()(gramian=scale * gramian)) * norms
        assert np.isfinite(parts).all()
        assert abs(parts[0] - parts[1]) <= 1e-3 * parts.sum()


def test_absent_tasks_and_tasks_without_gradient_take_no_part():
    gramian = np.full((3, 3), -1.0)
    gramian[::2, ::2] = [[4.0, 1.0], [1.0, 9.0]]
    two = NashMTL()(gramian=gramian[::2, ::2]).numpy()
    weights = NashMTL()(gramian=gramian, present=[1.0, 0.0, 1.0])
    np.testing.assert_allclose(weights, [two[0], 0.0, two[1]], rtol=1e-6)
    gramian[1] = gramian[:, 1] = 0.0
    weights = NashMTL()(gramian=gramian)
    np.testing.assert_allclose(weights, [two[0], 0.0, two[1]], rtol=1e-6)


def test_weights_that_hold_are_those_of_every():
    """Also where a task is absent from a step that measures."""
    own, around = NashMTL(0.0, every=3), Every(NashMTL(0.0), steps=3)
    for number, row in enumerate(random_jacobians()[:7]):
        present = np.ones(5)
        present[number % 5] = number != 3
        seen = {"gramian": row @ row.T, "present": present}
        received = own(**seen)
        np.testing.assert_array_equal(received, around(**seen))
        if number % 3 == 0:
            alone = NashMTL(0.0)(**seen)
            here = present > 0.0
            np.testing.assert_array_equal(received[here], alone[here])
    assert NashMTL().due is None


def test_errors():
    with pytest.raises(ValueError) as error:
        NashMTL(max_norm=-1.0)
    assert str(error.value) == (
        "Argument `max_norm` must be at least 0. Received: max_norm=-1.0"
    )
    with pytest.raises(ValueError, match="`every` must be at least 1"):
        NashMTL(every=0)
