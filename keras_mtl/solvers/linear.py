"""Linear systems with a positive definite matrix."""

from typing import Any

import tensorflow as tf

from keras_mtl.solvers.diagonal import diagonal

# A pivot below this is the rounding of float64, not information.
SMALLEST_PIVOT = 1e-14


def spd_solve(matrix: Any, right: Any) -> tf.Tensor:
    """Solves `matrix @ x = right` by K sweeps without pivoting, `O(K^3)`.

    XLA's own factorisations take ten times as long on a CPU, and its `eigh`
    is accurate to 1e-7 only.

    Example:

    >>> matrix = tf.constant([[1.0, 0.5], [0.5, 1.0]], tf.float64)
    >>> spd_solve(matrix, tf.constant([[1.5], [1.5]], tf.float64))
    [[1.0], [1.0]]

    Args:
        matrix: `(K, K)` float64, positive definite, its diagonal of order 1;
            K static.
        right: `(K, R)` float64.

    Returns:
        `(K, R)` float64.
    """
    size = matrix.shape[0]

    def sweep_of(tableau, pivot):
        row = tf.gather(tableau, pivot)
        column = tf.gather(tableau, pivot, axis=1)
        divisor = tf.maximum(tf.gather(row, pivot), SMALLEST_PIVOT)
        hit = tf.range(size) == pivot
        return tf.where(hit, divisor - 1.0, column), row / divisor

    def sweep(pivot, tableau, column, row):
        # The sweep is prepared a step ahead, so that XLA updates in place.
        tableau -= column[:, None] * row
        return pivot + 1, tableau, *sweep_of(tableau, pivot + 1)

    tableau = tf.concat([matrix, right], 1)
    start = (tf.constant(0), tableau, *sweep_of(tableau, 0))
    # The last one is not followed by another, which would have no pivot.
    _, tableau, column, row = tf.while_loop(
        lambda pivot, *_: pivot < size - 1, sweep, start
    )
    return (tableau - column[:, None] * row)[:, size:]


def cg_solve(matrix: Any, right: Any, tolerance: float = 1e-12) -> tf.Tensor:
    """Solves `matrix @ x = right` by conjugate gradients, at most `2 K` steps.

    Example:

    >>> matrix = tf.constant([[2.0, 1.0], [1.0, 2.0]], tf.float64)
    >>> cg_solve(matrix, tf.constant([3.0, 3.0], tf.float64))  # -> [1.0, 1.0]

    Args:
        matrix: `(K, K)` float64, positive definite; K static.
        right: `(K,)` float64.
        tolerance: Float or scalar float64, the residual to stop at, relative
            to `right`, both in the norm of the inverse diagonal, which
            preconditions.

    Returns:
        `(K,)` float64.

    Reference:
        - [Hestenes and Stiefel, 1952](https://doi.org/10.6028/jres.049.044)
    """
    divisors = diagonal(matrix)

    def step(count, x, residual, direction, square):
        product = tf.linalg.matvec(matrix, direction)
        length = tf.math.divide_no_nan(
            square, tf.reduce_sum(direction * product)
        )
        x += length * direction
        residual -= length * product
        ahead = residual / divisors
        following = tf.reduce_sum(residual * ahead)
        direction = ahead + following / square * direction
        return count + 1, x, residual, direction, following

    first = right / divisors
    square = tf.reduce_sum(right * first)
    _, x, *_ = tf.while_loop(
        lambda count, *state: (
            (count < 2 * matrix.shape[0])
            & (state[-1] > tolerance * tolerance * square)
        ),
        step,
        (tf.constant(0), tf.zeros_like(right), right, first, square),
    )
    return x
