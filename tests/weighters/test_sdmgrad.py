import numpy as np
import pytest

from keras_mtl.weighters import MGDA, SDMGrad
from tests.golden import golden, golden_weights
from tests.weighters.gramians import (
    expect_golden,
    random_jacobians,
    weigh_each,
)

GRAMIAN = np.array([[18.0, -22.0], [-22.0, 38.0]])


def split_gramians():
    first, second = (np.array(golden("sequences")[n]) for n in ("J", "J2"))
    return np.einsum("tip,tjp->tij", first, second)


def test_golden_updates():
    """The golden file's solution of what 20 published steps only approach."""
    expect_golden(SDMGrad(), 1e-5, "SDMGrad")


@pytest.mark.parametrize("pull", [0.3, 10.0])
def test_the_shifted_combination_is_shortest(pull):
    """The duality gap over 1,000 Gramians of all families, K = 5.

    In units of the mean squared norm of the shifted gradients: worst 7e-8 and
    median 9e-9 for a pull of 0.3, and 3e-7 both for 10.
    """
    jacobians = random_jacobians()
    gramians = jacobians @ jacobians.transpose(0, 2, 1)
    weights = weigh_each(SDMGrad(pull), gramians)
    np.testing.assert_allclose(weights.sum(1), 1.0, atol=1e-6)
    shifted = jacobians + pull * jacobians.mean(1, keepdims=True)
    size = np.square(shifted).sum(2).mean(1)
    share = (1.0 + pull) * weights - pull / 5
    shortest = np.einsum("nk,nkp->np", share, shifted)
    slopes = np.einsum("nkp,np->nk", shifted, shortest)
    gaps = (np.square(shortest).sum(1) - slopes.min(1)) / size
    assert gaps.max() <= 2e-6
    assert np.median(gaps) <= 1e-6


def test_without_a_pull_it_is_the_shortest_combination():
    weights = SDMGrad(pull=0.0)(gramian=GRAMIAN)
    np.testing.assert_allclose(weights, MGDA()(gramian=GRAMIAN), rtol=1e-6)


def test_a_large_pull_gives_equal_weights():
    np.testing.assert_allclose(SDMGrad(1e4)(gramian=GRAMIAN), 0.5, rtol=2e-4)


def test_orthogonal_gradients_have_a_closed_form():
    """By hand: shifted by their mean, (1.5, 0.5 r) and (0.5, 1.5 r)."""
    weights = SDMGrad(pull=1.0)(gramian=np.diag([1.0, 3.0]))
    np.testing.assert_allclose(weights, [0.75, 0.25], rtol=1e-6)


def test_absent_task_weighs_nothing():
    gramian = np.full((3, 3), -9.0)
    gramian[::2, ::2] = GRAMIAN
    expected = SDMGrad()(gramian=GRAMIAN).numpy()
    weights = SDMGrad()(gramian=gramian, present=[1.0, 0.0, 1.0])
    np.testing.assert_allclose(
        weights, [expected[0], 0.0, expected[1]], rtol=1e-6
    )


def test_errors():
    with pytest.raises(ValueError) as error:
        SDMGrad(pull=-1.0)
    assert str(error.value) == (
        "Argument `pull` must be at least 0. Received: pull=-1.0"
    )


@pytest.mark.parametrize(
    ("method", "step_size"), [("SDMGrad", 10.0), ("SDMGrad(lr=5)", 5.0)]
)
def test_golden_loop(method, step_size):
    """TorchJD's weights, whose state goes on from step to step."""
    sdmgrad = SDMGrad(stochastic=True, step_size=step_size)
    received = [sdmgrad(split_gramian=matrix) for matrix in split_gramians()]
    expected = golden_weights(method, "torchjd", "sequences")
    np.testing.assert_allclose(received, expected, atol=1e-5)


def test_small_steps_of_the_loop_end_at_the_solution():
    """Both halves alike: the shortest shifted combination, by the solver."""
    jacobian = random_jacobians()[0]
    gramian = jacobian @ jacobian.T
    loop = SDMGrad(stochastic=True, step_size=0.05, steps=2000)
    updates = [
        jacobian.T @ np.float64(weights)
        for weights in (loop(split_gramian=gramian), SDMGrad()(gramian=gramian))
    ]
    gap = np.linalg.norm(updates[0] - updates[1])
    assert gap < 1e-3 * np.linalg.norm(updates[1])


def test_the_loop_leaves_absent_tasks_out():
    """And they come back with the share that they had, 1/3."""
    loop, smaller = (SDMGrad(stochastic=True) for _ in range(2))
    matrix = split_gramians()[3].copy()
    matrix[2] = matrix[:, 2] = 0.0
    weights = loop(split_gramian=matrix, present=[1.0, 1.0, 0.0])
    expected = smaller(split_gramian=matrix[:2, :2]).numpy()
    np.testing.assert_allclose(weights, [*expected, 0.0], rtol=1e-6)
    np.testing.assert_allclose(loop.shares.numpy()[2], 1 / 3, rtol=1e-6)


def test_each_form_has_its_signal():
    assert SDMGrad().needs == ("gramian", "present")
    loop = SDMGrad(stochastic=True)
    assert loop.needs == ("split_gramian", "present")
    with pytest.raises(TypeError, match="called with `split_gramian`"):
        loop(gramian=GRAMIAN)
