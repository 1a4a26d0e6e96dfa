import numpy as np
import pytest

from keras_mtl.solvers import min_norm_point
from keras_mtl.weighters import MoDo
from tests.golden import golden, golden_weights

JACOBIANS, OTHERS = (np.array(golden("sequences")[n]) for n in ("J", "J2"))


def gramians():
    return np.einsum("tip,tjp->tij", JACOBIANS, OTHERS)


@pytest.mark.parametrize(
    ("method", "tool", "settings"),
    [
        ("MoDo", "torchjd", (0.1, 0.1)),
        ("MoDo(0.01, 0)", "torchjd", (0.01, 0.0)),
        ("MoDo", "LibMTL", (0.1, 0.1)),
    ],
)
def test_golden(method, tool, settings):
    modo = MoDo(*settings)
    received = [modo(split_gramian=matrix) for matrix in gramians()]
    expected = golden_weights(method, tool, "sequences")
    np.testing.assert_allclose(received, expected, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_small_steps_on_one_gramian_end_at_the_shortest_combination(seed):
    """Without regularisation, and both halves alike (MGDA's point)."""
    jacobian = np.random.default_rng(seed).normal(size=(4, 6))
    gramian = jacobian @ jacobian.T
    modo = MoDo(step_size=0.05, regularization=0.0)
    modo.bind(4)
    for _ in range(400):
        weights = modo(split_gramian=gramian).numpy()
    least = min_norm_point(gramian).weights.numpy()
    lengths = [np.linalg.norm(jacobian.T @ w) for w in (weights, least)]
    np.testing.assert_allclose(*lengths, rtol=1e-3)


def test_absent_tasks_come_back_with_what_they_had():
    modo, smaller = MoDo(step_size=0.1), MoDo(step_size=0.1)
    matrix = gramians()[0]
    matrix[2] = matrix[:, 2] = 0.0
    weights = modo(split_gramian=matrix, present=[1.0, 1.0, 0.0]).numpy()
    expected = smaller(split_gramian=matrix[:2, :2]).numpy()
    np.testing.assert_allclose(weights, [*expected, 0.0], rtol=1e-6)
    np.testing.assert_allclose(modo.shares.numpy()[2], 1 / 3, rtol=1e-6)
    np.testing.assert_allclose(modo.shares.numpy().sum(), 1.0, rtol=1e-6)


def test_arguments_out_of_range():
    with pytest.raises(ValueError, match="`step_size` must be greater"):
        MoDo(step_size=0.0)
    with pytest.raises(ValueError, match="`regularization` must be at least"):
        MoDo(regularization=-0.1)
