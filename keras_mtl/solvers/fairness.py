"""Weights whose tasks gain in a given proportion to what they weigh."""

import tensorflow as tf

from keras_mtl.solvers.linear import cg_solve

MAX_STEPS = 60
# Up to this relative change a Newton step needs no line search.
SAFE_CHANGE = 0.25
# Steps of a line search, as shares of the longest.
SEARCHED_LENGTHS = [10.0 ** (step / 23 * 4.0 - 4.0) for step in range(24)]


def fair_weights(gradients, fairness):
    """Solves `gramian @ w = w ** (-1 / fairness)` for positive `w`.

    That is where the convex `w @ gramian @ w / 2 - sum(w ** (1 - p)) /
    (1 - p)`, `p = 1 / fairness`, is least; for `p = 1` with logarithms. By
    Newton steps in the ratios of `w`, on cosines: neither the norms nor their
    spread count.

    Args:
        gradients: `TaskGradients`.
        fairness: Float, above 0.

    Returns:
        `(K,)` float64, 0 for a task without gradient.

    Reference:
        - [Ban and Ji, 2024](https://arxiv.org/abs/2402.15638)
    """
    p = 1.0 / fairness
    moving, norms = gradients.moving, gradients.norms
    # Relative to the norm at which they are largest: powers stay in range.
    power = (p - 1.0) / (p + 1.0)
    unit = (
        tf.reduce_max(norms)
        if p > 1.0
        else tf.reduce_min(tf.where(moving, norms, float("inf")))
    )
    scale = tf.where(moving, (norms / unit) ** power, 0.0)
    matrix = gradients.regular_cosines * scale[:, None] * scale
    share = scale * scale
    resting = tf.cast(~moving, tf.float64)

    def newton(count, z, _):
        wanted = share * z ** (1.0 - p)
        pull = tf.linalg.matvec(matrix, z)
        rest = wanted - z * pull
        hessian = matrix * z[:, None] * z
        hessian += tf.linalg.diag(p * wanted + resting)
        # No more exact than the step itself: it converges as fast.
        off = tf.reduce_max(tf.abs(rest)) / tf.reduce_max(wanted)
        tolerance = tf.clip_by_value(0.01 * off, 1e-12, 0.01)
        change = cg_solve(hessian, rest, tolerance)
        more = tf.reduce_sum(rest * change - 1e-15 * wanted) > 0.0
        length = tf.cond(
            tf.reduce_max(tf.abs(change)) < SAFE_CHANGE,
            lambda: tf.ones((), tf.float64),
            lambda: _step_length(matrix, share, z, change, pull, p),
        )
        return count + 1, z * (1.0 + length * change), more

    # At the solution, what the barrier and the quadratic term ask for has the
    # same sum. So it has at the start, where all of z are alike.
    z = tf.reduce_sum(share) / tf.maximum(tf.reduce_sum(matrix), 1e-30)
    z = tf.where(moving, z ** (1.0 / (1.0 + p)), 1.0)
    _, z, _ = tf.while_loop(
        lambda count, *state: (count < MAX_STEPS) & state[-1],
        newton,
        (tf.constant(0), z, True),
    )
    return gradients.per_norm(scale * z * unit**power)


def _step_length(matrix, share, z, change, pull, p):
    """The longest of some steps at whose end the objective still falls."""
    longest = tf.maximum(-tf.reduce_min(change), 0.06)
    points = tf.constant(SEARCHED_LENGTHS, tf.float64)[:, None] * 0.99 / longest
    ahead = z * change
    turn = tf.linalg.matvec(matrix, ahead)
    barrier = share * (z * (1.0 + points * change)) ** -p
    slopes = tf.reduce_sum(ahead * (pull + points * turn - barrier), 1)
    points = tf.where(slopes <= 0.0, points[:, 0], points[0, 0])
    return tf.reduce_max(points)
