import numpy as np
import tensorflow as tf

from keras_mtl.solvers import nonnegative_minima, task_gradients
from tests.weighters.gramians import random_jacobians


@tf.function(autograph=False, jit_compile=True)
def solve(gramians):
    def one(gramian):
        gradients = task_gradients(gramian)
        matrix = gradients.regular_cosines
        x = nonnegative_minima(matrix, -gradients.cosines, gradients.moving)
        return matrix, x

    return tf.map_fn(one, gramians, (tf.float64, tf.float64))


def test_the_optimality_conditions_hold_for_ill_conditioned_matrices():
    """1,000 x 6 programs; violation: worst 1e-10, the threshold."""
    jacobians = random_jacobians(6)
    gramians = np.float32(jacobians @ jacobians.transpose(0, 2, 1))
    matrix, x = (value.numpy() for value in solve(gramians))
    slopes = x @ matrix + matrix - (matrix[0, 0, 0] - 1.0) * np.eye(6)
    assert (x >= 0.0).all()
    # The rounding of slopes whose terms are as large as x.
    largest = 1.0 + x.max(2, keepdims=True)
    assert (slopes >= -1.1e-10 - 1e-12 * largest).all()
    assert (np.abs(x * slopes) <= 1e-12 * largest**2).all()
    assert (x > 0.0).any(2).mean() > 0.3


def test_two_coordinates_have_a_closed_form():
    """By hand: with cosine -0.6 each gradient needs 0.6 of the other."""
    matrix = tf.constant([[1.0, -0.6], [-0.6, 1.0]], tf.float64)
    x = nonnegative_minima(matrix, -matrix, [True, True])
    np.testing.assert_allclose(x, [[0.0, 0.6], [0.6, 0.0]], rtol=1e-12)
    x = nonnegative_minima(matrix, -matrix, [True, False])
    np.testing.assert_allclose(x, [[0.0, 0.0], [0.6, 0.0]], rtol=1e-12)
