"""Many non-negative quadratic programs of one matrix, solved together."""

from typing import Any

import tensorflow as tf

from keras_mtl.solvers.active_set import SMALLEST_PIVOT


def nonnegative_minima(
    matrix: Any, vectors: Any, allowed: Any, threshold: float = 1e-10
):
    """Minimises `x @ matrix @ x / 2 - vector @ x` over `x >= 0`, B times.

    Each problem takes the steps of `nonnegative_minimum` on a tableau of its
    own, `O(B K^2)` a step, until all are done or `20 K` steps are.

    Example:

    >>> vectors = tf.constant([[1.0, -1.0], [2.0, 3.0]], tf.float64)
    >>> allowed = tf.constant([True, True])
    >>> nonnegative_minima(tf.eye(2, dtype=tf.float64), vectors, allowed)
    [[1.0, 0.0], [2.0, 3.0]]

    Args:
        matrix: `(K, K)` float64, positive definite, its diagonal of order 1;
            K static.
        vectors: `(B, K)` float64, one for each problem.
        allowed: `(K,)` bool. Other coordinates stay 0.
        threshold: Float. Steepest descent at which a problem is solved.

    Returns:
        `(B, K)` float64.
    """
    size = matrix.shape[0]
    index = tf.range(size)
    never = tf.constant(float("-inf"), tf.float64)

    def sweep_of(tableau, pivot, more):
        row = tf.gather(tableau, pivot, batch_dims=1)
        column = tf.gather(tableau, pivot, axis=2, batch_dims=1)
        diagonal = tf.gather(row, pivot, batch_dims=1)
        diagonal = tf.maximum(diagonal, SMALLEST_PIVOT)[:, None]
        hit = tf.range(size + 1) == pivot[:, None]
        row = tf.where(hit, diagonal + 1.0, row) / diagonal
        column = tf.where(hit[:, :-1], diagonal - 1.0, column)
        return tf.where(more[:, None], column, 0.0), row

    def exchange(steps, tableau, column, row, active, x, _):
        # Prepared a step ahead, so that XLA updates in place.
        tableau -= column[:, :, None] * row[:, None]
        right = tableau[:, :, -1]
        target = tf.where(active, right, 0.0)
        blocked = tf.reduce_min(target, 1) < 0.0
        leave = tf.where(target < 0.0, x / (target - x), never)
        enter = tf.where(allowed & ~active, right, never)
        score = tf.where(blocked[:, None], leave, enter)
        pivot = tf.argmax(score, 1, output_type=tf.int32)
        best = tf.gather(score, pivot, batch_dims=1)
        length = tf.where(blocked, -best, 1.0)[:, None]
        hit = index == pivot[:, None]
        x = tf.maximum(x + length * (target - x), 0.0)
        x = tf.where(blocked[:, None] & hit, tf.zeros_like(x), x)
        more = blocked | (best > threshold)
        active ^= hit & more[:, None]
        return (
            steps + 1,
            tableau,
            *sweep_of(tableau, pivot, more),
            active,
            x,
            more,
        )

    x = tf.zeros_like(vectors)
    tableau = tf.concat(
        [tf.broadcast_to(matrix, (*vectors.shape, size)), vectors[:, :, None]],
        2,
    )
    _, *_, x, _ = tf.while_loop(
        lambda steps, *state: (steps < 20 * size) & tf.reduce_any(state[-1]),
        exchange,
        (
            tf.constant(-1),
            tableau,
            x,
            tf.zeros_like(tableau[:, 0]),
            x > 0.0,
            x,
            tf.ones(vectors.shape[0], tf.bool),
        ),
    )
    return x
