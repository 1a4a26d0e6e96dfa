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
    moving, zero = gradients.moving, tf.zeros_like(gradients.norms)
    one = zero + 1.0
    # Taken over the mean of the logarithms: powers of 1e15 stay in range.
    logs = tf.math.log(tf.where(moving, gradients.norms, one))
    scale = (p - 1.0) / (p + 1.0) * logs
    scale -= tf.reduce_max(tf.where(moving, scale, float("-inf")))
    scale = tf.where(moving, tf.exp(scale), zero)
    matrix = gradients.regular_cosines * scale[:, None] * scale
    share = scale * scale

    def reached(z):
        # What the barrier and the quadratic term ask of z; both sum to the
        # same at the solution.
        wanted = share if p == 1.0 else share * z ** (1.0 - p)
        return wanted, z * tf.linalg.matvec(matrix, z)

    def newton(count, z, _):
        wanted, given = reached(z)
        rest = wanted - given
        hessian = matrix * z[:, None] * z
        diagonal = tf.linalg.diag_part(hessian) + p * wanted
        hessian = tf.linalg.set_diag(hessian, tf.where(moving, diagonal, one))
        # No more exact than the step itself: it converges as fast.
        off = tf.reduce_max(tf.abs(rest)) / tf.reduce_max(wanted)
        tolerance = tf.clip_by_value(0.01 * off, 1e-12, 0.01)
        change = cg_solve(hessian, rest, tolerance)
        more = tf.reduce_sum(rest * change) > 1e-15 * tf.reduce_sum(wanted)
        length = tf.cond(
            tf.reduce_max(tf.abs(change)) < SAFE_CHANGE,
            lambda: tf.ones((), tf.float64),
            lambda: _step_length(matrix, share, z, change, given, p),
        )
        return count + 1, z * (1.0 + length * change), more

    z = one
    wanted, given = (tf.reduce_sum(part) for part in reached(z))
    z *= tf.math.divide_no_nan(wanted, given) ** (1.0 / (1.0 + p))
    _, z, _ = tf.while_loop(
        lambda count, *state: (count < MAX_STEPS) & state[-1],
        newton,
        (tf.constant(0), tf.where(moving, z, one), tf.reduce_any(moving)),
    )
    # The common factor is that of the Gramian itself. In logarithms, again.
    along = tf.where(moving, scale * z, zero)
    square = tf.reduce_sum(
        along * tf.linalg.matvec(gradients.regular_cosines, along)
    )
    log_weights = tf.where(moving, tf.math.log(scale * z) - logs, 0.0)
    total = tf.reduce_logsumexp(
        tf.where(moving, (1.0 - p) * log_weights, float("-inf"))
    )
    factor = (total - tf.math.log(square)) / (1.0 + p)
    return tf.where(moving, tf.exp(log_weights + factor), zero)


def _step_length(matrix, share, z, change, given, p):
    """The longest of some steps at whose end the objective still falls."""
    longest = tf.maximum(-tf.reduce_min(change), 0.06)
    points = tf.constant(SEARCHED_LENGTHS, tf.float64) * 0.99 / longest
    ahead = z * change
    straight = tf.reduce_sum(given * change)
    curvature = tf.reduce_sum(ahead * tf.linalg.matvec(matrix, ahead))
    barrier = tf.reduce_sum(
        share * ahead * (z * (1.0 + points[:, None] * change)) ** -p, 1
    )
    falls = straight + points * curvature <= barrier
    return tf.reduce_max(tf.where(falls, points, points[0]))
