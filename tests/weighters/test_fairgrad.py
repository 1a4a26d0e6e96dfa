import numpy as np
import pytest

from keras_mtl.weighters import FairGrad, NashMTL
from tests.weighters.gramians import (
    expect_golden,
    of_units,
    random_jacobians,
    weigh_all,
)


@pytest.mark.parametrize("fairness", [0.5, 1.0, 2.0])
def test_golden_updates(fairness):
    expect_golden(FairGrad(fairness), 2e-5, f"FairGrad({fairness})")


@pytest.mark.parametrize("fairness", [0.5, 2.0])
def test_gains_are_a_power_of_the_weights(fairness):
    """1,000 Gramians of all families, 1e-10 to 1e15, K = 5.

    Error of a task's equation, relative to its terms: worst 1.6e-6, median
    8e-7, of which the ridge is 1.5e-6. In float64 the equation with the ridge
    holds to 2e-7.
    """
    jacobians = random_jacobians()
    norms, cosines = of_units(jacobians)
    weights, exact = weigh_all(FairGrad(fairness), jacobians)
    gains = norms * np.einsum("nij,nj->ni", cosines, weights * norms)
    terms = norms * np.einsum("nij,nj->ni", abs(cosines), weights * norms)
    wanted = weights ** (-1.0 / fairness)
    assert (np.abs(gains - wanted) / terms).max() <= 3e-6
    gains = norms * np.einsum("nij,nj->ni", cosines, exact * norms)
    gains += 1.5e-6 * norms**2 * exact
    wanted = exact ** (-1.0 / fairness)
    assert np.abs(gains / wanted - 1.0).max() <= 1e-6


def test_orthogonal_gradients_have_a_closed_form():
    """By hand: n^2 w = w^(-1/a), so that w = n^(-2a/(1+a))."""
    norms = np.array([1e-4, 0.3, 1.0, 1e4])
    for fairness in (0.1, 0.5, 1.0, 2.0, 10.0):
        weights = FairGrad(fairness)(gramian=np.diag(norms**2))
        expected = norms ** (-2.0 * fairness / (1.0 + fairness))
        np.testing.assert_allclose(weights, expected, rtol=2e-6)


def test_of_fairness_one_is_the_bargain():
    row = random_jacobians()[0]
    np.testing.assert_allclose(
        FairGrad()(gramian=row @ row.T),
        NashMTL(max_norm=0.0)(gramian=row @ row.T),
        rtol=1e-6,
    )


def test_great_fairness_gives_equal_gains():
    row = random_jacobians()[0]
    gramian = row @ row.T / np.trace(row @ row.T)
    gains = gramian @ np.float64(FairGrad(1e4)(gramian=gramian))
    np.testing.assert_allclose(gains, 1.0, rtol=2e-3)


def test_absent_tasks_and_tasks_without_gradient_take_no_part():
    gramian = np.full((3, 3), -1.0)
    gramian[::2, ::2] = [[4.0, 1.0], [1.0, 9.0]]
    two = FairGrad(2.0)(gramian=gramian[::2, ::2]).numpy()
    weights = FairGrad(2.0)(gramian=gramian, present=[1.0, 0.0, 1.0])
    np.testing.assert_allclose(weights, [two[0], 0.0, two[1]], rtol=1e-6)
    gramian[1] = gramian[:, 1] = 0.0
    weights = FairGrad(2.0)(gramian=gramian)
    np.testing.assert_allclose(weights, [two[0], 0.0, two[1]], rtol=1e-6)


def test_errors():
    with pytest.raises(ValueError) as error:
        FairGrad(0.05)
    assert str(error.value) == (
        "Argument `fairness` must be at least 0.1. Received: fairness=0.05"
    )


def test_no_fairness_is_the_mean():
    gramian = [[4.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 9.0]]
    weights = FairGrad(0)(gramian=gramian, present=[1.0, 1.0, 0.0])
    np.testing.assert_array_equal(weights, [0.5, 0.5, 0.0])
