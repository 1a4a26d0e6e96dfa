import numpy as np
import pytest

from keras_mtl.weighters import IMTLG, ConFIG
from tests.weighters.gramians import (
    expect_golden,
    family,
    of_units,
    random_jacobians,
    weigh_all,
)


def test_golden_updates():
    expect_golden(ConFIG(), 1e-5, "ConFIG", "torchjd")


def test_all_cosines_are_equal_and_sum_to_the_length():
    """1,000 Gramians of all families, 1e-10 to 1e15, K = 5.

    Against the pseudo-inverse of the unit gradients, as TorchJD has it: the
    update is worst 2e-5, median 5e-8 off for plain and scaled gradients.
    Its length is the sum of the gradients' projections on it, worst 1e-5.
    """
    jacobians = random_jacobians()
    norms, cosines = of_units(jacobians)
    weights, _ = weigh_all(ConFIG(), jacobians)
    parts = weights * norms
    gains = np.einsum("nij,nj->ni", cosines, parts)
    lengths = np.sqrt(np.einsum("ni,ni->n", gains, parts))
    projections = np.einsum("ni,ni->n", norms, gains) / lengths
    units = jacobians / norms[..., None]
    updates = np.einsum("nk,nkp->np", parts, units)
    expected = np.linalg.pinv(units, 1e-10) @ np.ones(5)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    expected *= np.einsum("nkp,np->n", jacobians, expected)[:, None]
    errors = np.linalg.norm(updates - expected, axis=1) / lengths
    for name in ("plain", "scaled"):
        assert family(name, np.abs(projections / lengths - 1)).max() <= 5e-5
        assert family(name, errors).max() <= 1e-4
        assert np.median(family(name, errors)) <= 1e-6


def test_orthogonal_gradients_have_a_closed_form():
    """By hand: sum of norms / K, over each norm."""
    norms = np.array([1e-4, 1.0, 1e4])
    weights = ConFIG()(gramian=np.diag(norms**2))
    np.testing.assert_allclose(weights, norms.sum() / 3 / norms, rtol=1e-6)


def test_cosines_are_proportional_to_the_preferences():
    row = random_jacobians()[0]
    weights = ConFIG([1.0, 2.0, 3.0, 4.0, 5.0])(gramian=row @ row.T)
    gains = row @ (np.float64(weights) @ row) / np.linalg.norm(row, axis=1)
    np.testing.assert_allclose(gains / gains[0], np.arange(1, 6), rtol=1e-4)


def test_the_direction_is_that_of_the_equal_projections():
    row = random_jacobians()[5]
    weights = ConFIG()(gramian=row @ row.T).numpy()
    other = IMTLG()(gramian=row @ row.T).numpy()
    np.testing.assert_allclose(
        weights / np.abs(weights.sum()), other, rtol=1e-5
    )


@pytest.mark.parametrize(
    ("weighter", "pair", "weights"),
    [
        (ConFIG(), [[4.0, 0.0], [0.0, 1.0]], [0.75, 1.5]),
        (IMTLG(), [[1.0, -1.5], [-1.5, 9.0]], [0.75, 0.25]),
    ],
)
def test_absent_tasks_and_tasks_without_gradient(weighter, pair, weights):
    """By hand, as the two tests of closed forms are; IMTL-G has the same."""
    gramian, expected = np.full((3, 3), -1.0), np.zeros(3)
    gramian[::2, ::2], expected[::2] = pair, weights
    received = weighter(gramian=gramian, present=[1.0, 0.0, 1.0])
    np.testing.assert_allclose(received, expected, rtol=1e-6)
    gramian[1] = gramian[:, 1] = 0.0
    np.testing.assert_allclose(weighter(gramian=gramian), expected, rtol=1e-6)
    none = type(weighter)()(gramian=np.zeros((2, 2)))
    np.testing.assert_array_equal(none, 0.0)


@pytest.mark.parametrize("weighter", [ConFIG(), IMTLG()])
def test_opposite_gradients_move_nothing(weighter):
    gramian = np.float32([[1.0, -2.0], [-2.0, 4.0]])
    weights = np.float64(weighter(gramian=gramian))
    assert np.isfinite(weights).all()
    assert weights @ gramian @ weights <= 1e-6


def test_errors():
    with pytest.raises(ValueError) as error:
        ConFIG([0.0, 0.0])
    assert str(error.value) == (
        "Argument `preference` must be above 0 for at least one task. "
        "Received: preference=[0.0, 0.0]"
    )
