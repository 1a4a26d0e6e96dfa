import numpy as np
import pytest

from keras_mtl.weighters import MGDA, CAGrad
from tests.weighters.gramians import (
    expect_golden,
    family,
    random_jacobians,
    weigh_all,
)

# J = [[-4, 1, 1], [6, 1, 1]], the reference case of METHODS.md.
GRAMIAN = np.array([[18.0, -22.0], [-22.0, 38.0]])


@pytest.mark.parametrize("radius", [0.0, 0.4, 0.5, 1.0])
def test_golden_updates(radius):
    expect_golden(CAGrad(radius), 1e-6, f"CAGrad({radius})")


def test_rescaled_as_the_authors_code():
    """LibMTL divides by 1 + c^2, and so did the authors."""
    once = np.float64(CAGrad(0.5)(gramian=GRAMIAN))
    rescaled = CAGrad(0.5, rescale=True)(gramian=GRAMIAN)
    np.testing.assert_allclose(rescaled, once / 1.25, rtol=1e-6)


def duality_gaps(weights, jacobians, radius):
    """How far the worst inner product is from that of the best update.

    In units of the norms of the mean and of the longest gradient: the dual
    problem's value bounds what any update within the ball can reach.
    """
    scale = np.linalg.norm(jacobians, axis=2).max(1)
    jacobians = jacobians / scale[:, None, None]
    mean = jacobians.mean(1)
    length = np.linalg.norm(mean, axis=1)
    update = np.einsum("nk,nkp->np", weights, jacobians)
    worst = np.einsum("nkp,np->nk", jacobians, update).min(1)
    added = weights - 1 / jacobians.shape[1]
    added /= added.sum(1, keepdims=True)
    added = np.einsum("nk,nkp->np", added, jacobians)
    best = np.einsum("np,np->n", added, mean)
    best += radius * length * np.linalg.norm(added, axis=1)
    leaves = np.linalg.norm(update - mean, axis=1) / (radius * length)
    return (best - worst) / length, leaves


def cancelling(size=5, count=100):
    """Returns `(count, K, P)` gradients whose mean is 1e-7 to 1e-2 of them."""
    random = np.random.default_rng(size)
    rows = random.normal(size=(count, size, size + 3))
    rest = 10.0 ** random.uniform(-7.0, -2.0, size=(count, 1))
    rows[:, 0] = (rest - 1.0) * rows[:, 1:].sum(1)
    return rows


def check_stays_near(jacobians, weights, radius):
    """A mean that float32 cannot tell from 0 once made the weights NaN."""
    size = jacobians.shape[1]
    added = np.einsum("nk,nkp->np", weights - 1 / size, jacobians)
    mean = np.linalg.norm(jacobians.mean(1), axis=1)
    # What rounding to float32 leaves of the mean, at most.
    rounding = 3e-4 * np.linalg.norm(jacobians, axis=2).max(1)
    excess = np.linalg.norm(added, axis=1) - radius * (mean + rounding)
    assert excess.max() <= 0.0


@pytest.mark.parametrize("radius", [0.4, 1.0])
def test_no_update_near_the_mean_helps_the_worst_task_more(radius):
    """1,000 Gramians of all families, 1e-10 to 1e15, K = 5.

    Duality gap of float64 Gramians: worst 4e-7, median 1e-13. Rounded to
    float32: worst 3e-7, median 2e-8, but where gradients all but cancel (2e-3
    where they are dependent, 5e-5 where opposed).
    """
    jacobians = random_jacobians()
    together = np.concatenate([jacobians, cancelling()])
    weights, exact = weigh_all(CAGrad(radius), together)
    check_stays_near(together[1000:], weights[1000:], radius)
    weights, exact = weights[:1000], exact[:1000]
    gaps, leaves = duality_gaps(exact, jacobians, radius)
    assert gaps.max() <= 1e-6
    assert np.median(gaps) <= 1e-12
    # The update is on the edge of the ball, or its addition is rounding.
    assert leaves.max() <= 1.0 + 1e-6
    gaps, _ = duality_gaps(weights, jacobians, radius)
    bounds = {"dependent": 5e-3, "opposed": 2e-4}
    for name in ("plain", "scaled", "parallel", "dependent", "opposed"):
        assert family(name, gaps).max() <= bounds.get(name, 1e-6)
    assert np.median(gaps) <= 1e-7


def test_a_large_radius_has_the_direction_of_the_shortest_combination():
    weights = np.float64(CAGrad(1e4)(gramian=GRAMIAN))
    expected = MGDA()(gramian=GRAMIAN)
    np.testing.assert_allclose(weights / weights.sum(), expected, rtol=1e-3)


def test_orthogonal_tasks():
    """By hand: unit gradients' worst inner product is best at their mean."""
    weights = CAGrad(0.4)(gramian=np.eye(4))
    np.testing.assert_allclose(weights, 1.4 / 4, rtol=1e-6)


def test_gradients_that_cancel_move_nothing():
    gramian = np.float32([[1.0, -1.0], [-1.0, 1.0]])
    for scale in (1e-10, 1.0, 1e15):
        weights = np.float64(CAGrad()(gramian=scale * gramian))
        assert np.isfinite(weights).all()
        assert weights @ gramian @ weights <= 1e-6


def test_absent_tasks_and_tasks_without_gradient():
    gramian = np.full((3, 3), -1.0)
    gramian[::2, ::2] = GRAMIAN
    weights = CAGrad(0.5)(gramian=gramian, present=[1.0, 0.0, 1.0])
    expected = CAGrad(0.5)(gramian=GRAMIAN).numpy()
    np.testing.assert_allclose(
        weights, [expected[0], 0.0, expected[1]], rtol=1e-6
    )
    gramian[1] = gramian[:, 1] = 0.0
    # Its share of the mean, and no more.
    weights = CAGrad(0.5)(gramian=gramian).numpy()
    assert weights[1] == pytest.approx(1 / 3)


def test_errors():
    with pytest.raises(ValueError) as error:
        CAGrad(-0.1)
    assert str(error.value) == (
        "Argument `radius` must be at least 0. Received: radius=-0.1"
    )
