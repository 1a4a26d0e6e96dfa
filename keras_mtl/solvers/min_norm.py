"""The shortest point in the convex hull of the task gradients."""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_mtl.checks import above, integer, one_of
from keras_mtl.solvers.active_set import nonnegative_minimum
from keras_mtl.solvers.compiling import one_kernel
from keras_mtl.solvers.diagonal import diagonal
from keras_mtl.solvers.line_search import duality_gap, line_searches

METHODS = ("fully_corrective", "pairwise", "frank_wolfe")


class MinNormPoint(NamedTuple):
    """Weights of the shortest combination, and how it was reached.

    Example:

    >>> point = min_norm_point([[18.0, -22.0], [-22.0, 38.0]])
    >>> point.weights  # -> [0.6, 0.4]
    >>> float(point.gap)
    0.0

    Attributes:
        weights: `(K,)` float32, non-negative, summing to 1, without gradient;
            uniform if that is optimal, 0 if every task is absent.
        gap: Scalar float32, their duality gap in the unit of `tolerance`.
        iterations: Scalar int32; 0 where no step was needed.
    """

    weights: tf.Tensor
    gap: tf.Tensor
    iterations: tf.Tensor


def min_norm_point(
    gramian: Any,
    max_iterations: int | None = None,
    tolerance: float = 1e-6,
    present: Any = None,
    method: str = "fully_corrective",
) -> MinNormPoint:
    """Minimises `weights @ gramian @ weights` over the simplex.

    By a Frank-Wolfe method. `"fully_corrective"` solves exactly on the active
    tasks whenever one enters or leaves: about K steps. `"pairwise"` moves
    weight between two tasks, `"frank_wolfe"` towards one, from uniform by
    exact line search: up to thousands. Two tasks have a closed form.

    Example:

    >>> min_norm_point([[18.0, -22.0], [-22.0, 38.0]]).weights  # [0.6, 0.4]

    Args:
        gramian: `(K, K)`, `gramian[i, j] = <g[i], g[j]>`, in squared loss per
            squared parameter. Positive semi-definite up to rounding; K static.
        max_iterations: Integer, at least 1, or `None` for `20 * K`.
        tolerance: Float, above 0. Duality gap, as a fraction of the mean
            squared gradient norm, at which the solver stops.
        present: `(K,)` mask, or `None` for all. An absent task weighs 0 and
            its entries are never read.
        method: One of `"fully_corrective"`, `"pairwise"`, `"frank_wolfe"`.

    Returns:
        A `MinNormPoint`: `weights`, `gap`, `iterations`.

    Raises:
        ValueError: If an argument is out of range or of the wrong shape.

    Reference:
        - [Jaggi, 2013](https://proceedings.mlr.press/v28/jaggi13.html)
        - [Lacoste-Julien and Jaggi, 2015](https://arxiv.org/abs/1511.05932)
    """
    gramian = tf.stop_gradient(tf.convert_to_tensor(gramian))
    shape = gramian.shape.as_list() if gramian.shape.rank == 2 else [None]
    if not shape[0] or shape[0] != shape[1]:
        raise ValueError(
            "Argument `gramian` must be a square matrix of known size. "
            f"Received: shape={gramian.shape}"
        )
    size = int(shape[0])
    mask = tf.cast([True] * size if present is None else present, tf.bool)
    if mask.shape != (size,):
        raise ValueError(
            f"Argument `present` must have shape ({size},), one entry per "
            f"task. Received: shape={mask.shape}"
        )
    if max_iterations is None:
        max_iterations = 20 * size
    steps = integer("max_iterations", max_iterations, 1)
    tolerance = above("tolerance", tolerance, 0.0)
    one_of("method", method, METHODS)

    def solve(gramian, mask):
        return _solve(gramian, mask, steps, tolerance, method)

    return one_kernel(solve)(gramian, mask)


def _solve(gramian, mask, steps, tolerance, method):
    gramian = _normalized(gramian, mask)
    weights, iterations = min_norm_weights(
        gramian, mask, steps, tolerance, method
    )
    weights = tf.cast(weights, tf.float32)
    gap = duality_gap(gramian, mask, tf.cast(weights, tf.float64))
    return MinNormPoint(weights, tf.cast(gap, tf.float32), iterations)


def _normalized(gramian, mask):
    # float64: a gap of 1e-6 is a few float32 roundings of these sums.
    gramian = tf.cast(gramian, tf.float64)
    gramian = tf.where(mask[:, None] & mask, gramian, 0.0)
    count = tf.reduce_sum(tf.cast(mask, tf.float64))
    mean = tf.math.divide_no_nan(tf.reduce_sum(diagonal(gramian)), count)
    return tf.math.divide_no_nan(gramian, mean)


def min_norm_weights(
    gramian, mask, max_steps, tolerance, method="fully_corrective"
):
    """Minimises `weights @ gramian @ weights` over the simplex, in float64.

    Args:
        gramian: `(K, K)` float64, its diagonal of order 1, masked.
        mask: `(K,)` bool. Other coordinates stay 0.
        max_steps: Integer.
        tolerance: Float. Duality gap at which to stop.
        method: As in `min_norm_point`.

    Returns:
        `(weights, steps)`: `(K,)` float64 and scalar int32.
    """
    count = tf.reduce_sum(tf.cast(mask, tf.float64))
    uniform = tf.math.divide_no_nan(tf.cast(mask, tf.float64), count)
    if gramian.shape[0] == 2:
        return _two_tasks(gramian, mask, uniform)
    problem = (gramian, mask, uniform, max_steps, tolerance)
    if method == "fully_corrective":
        return _fully_corrective(*problem)
    return line_searches(*problem, method == "pairwise")


def _two_tasks(gramian, mask, uniform):
    excess = tf.linalg.diag_part(gramian)[::-1] - gramian[0, 1]
    length = tf.reduce_sum(excess)
    weights = tf.clip_by_value(excess / length, 0, 1)
    unique = tf.reduce_all(mask) & (length > 0.0)
    return tf.where(unique, weights, uniform), tf.constant(0)


def _fully_corrective(gramian, mask, uniform, max_steps, tolerance):
    # With x = weights * norms the task norms leave the matrix, and the sum
    # to 1 becomes a term: x @ (cosines + a a') @ x / 2 - a @ x over x >= 0.
    norms = tf.sqrt(tf.maximum(diagonal(gramian), 1e-30))
    shortest = tf.reduce_min(tf.where(mask, norms, float("inf")))
    a = tf.where(mask, shortest / norms, 0.0)
    matrix = gramian / (norms[:, None] * norms) + a[:, None] * a
    # A tenth leaves room for rounding the weights to float32; a descent of
    # x is a gap of at most sqrt(K) times that.
    target = 0.1 * tolerance
    solved = duality_gap(gramian, mask, uniform) <= target
    max_steps = tf.where(solved, 0, max_steps)
    threshold = target / gramian.shape[0] ** 0.5
    x, steps = nonnegative_minimum(matrix, a, mask, threshold, max_steps)
    weights = tf.math.divide_no_nan(a * x, tf.reduce_sum(a * x))
    return tf.where(steps > 0, weights, uniform), steps
