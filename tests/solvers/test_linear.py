import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.solvers import cg_solve, spd_solve


def spread_matrix(size, decades, seed=0):
    """A symmetric matrix with eigenvalues from 10 ** -decades to 1."""
    random = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(random.normal(size=(size, size)))
    return basis * np.logspace(-decades, 0.0, size) @ basis.T


@pytest.mark.parametrize(("size", "decades"), [(1, 0), (2, 9), (7, 9), (40, 6)])
def test_systems_are_solved(size, decades):
    """Errors of float64 times the condition: 1e-16 * 10 ** decades."""
    matrix = spread_matrix(size, decades)
    expected = np.random.default_rng(1).normal(size=(size, 2))
    right = matrix @ expected
    x = tf.function(spd_solve, jit_compile=True)(matrix, right)
    tolerance = 1e-14 * size * 10.0**decades
    np.testing.assert_allclose(x, expected, atol=tolerance)
    np.testing.assert_allclose(spd_solve(matrix, right), x, atol=tolerance)


def test_conjugate_gradients_end_within_twice_the_size():
    """A spread diagonal is what the preconditioner takes away."""
    scales = np.logspace(-4, 4, 30)
    matrix = spread_matrix(30, 2) + np.eye(30)
    matrix = matrix * scales * scales[:, None]
    expected = np.random.default_rng(1).normal(size=30) / scales
    x = tf.function(cg_solve, jit_compile=True)(matrix, matrix @ expected)
    np.testing.assert_allclose(x, expected, rtol=1e-8)
    np.testing.assert_array_equal(cg_solve(matrix, np.zeros(30)), 0.0)
