"""The update within a ball whose worst inner product is largest."""

import tensorflow as tf

from keras_mtl.solvers.active_set import minimum_and_inverse
from keras_mtl.solvers.cosines import FLOOR
from keras_mtl.solvers.line_search import duality_gap

MAX_ROUNDS = 20
TOLERANCE = 1e-9


def conflict_averse_weights(gradients, radius):
    """Weights of the best update for the worst task near the mean.

    The update is `mean + s * g / |g|` with `s = radius * |mean|` and a convex
    combination `g` of the gradients. For a given length `k s` of `g`, it is the
    shortest combination of the gradients shifted by `k * mean`. Between two
    changes of the tasks that take part, `k` has a closed form, so that few
    values are tried; what is known of the root brackets it.

    Args:
        gradients: `TaskGradients`. A task without gradient counts in the mean
            only.
        radius: Float, at least 0.

    Returns:
        `(K,)` float64, the weights of the mean and what is added to them.

    Reference:
        - [Liu et al., 2021](https://arxiv.org/abs/2110.14048)
    """
    cosines, moving = gradients.cosines, gradients.moving
    share = gradients.share
    size = cosines.shape[0]
    # Divided by the longest: the method knows no scale.
    longest = tf.reduce_max(gradients.norms)
    norms = tf.math.divide_no_nan(gradients.norms, longest)
    gramian = cosines * norms[:, None] * norms
    inner = tf.linalg.matvec(gramian, share)
    uniform = tf.cast(moving, tf.float64)
    uniform = tf.math.divide_no_nan(uniform, tf.reduce_sum(uniform))
    square = tf.maximum(tf.reduce_sum(share * inner), 0.0)
    ball = radius * tf.sqrt(square)
    # Only for the search: without a mean gradient nothing is added.
    s = tf.maximum(ball, 1e-9)

    def length_of(weights):
        along = tf.reduce_sum(weights * tf.linalg.matvec(gramian, weights))
        least = FLOOR * tf.reduce_sum(weights * norms)
        return tf.maximum(tf.sqrt(tf.maximum(along, 0.0)), least)

    def shortest(k):
        # The shortest combination of the shifted gradients, and half the
        # second derivative of its squared length by k while no task enters
        # or leaves. The solver's inverse has it: see `min_norm_point`, whose
        # problem this is, for `a`.
        shifted = gramian + k * (inner[:, None] + inner) + k * k * square
        lengths = tf.sqrt(tf.maximum(tf.linalg.diag_part(shifted), 1e-30))
        least = tf.reduce_min(tf.where(moving, lengths, float("inf")))
        a = tf.where(moving, least / lengths, 0.0)
        shifted = tf.where(moving[:, None] & moving, shifted, 0.0)
        target = 0.1 * TOLERANCE * tf.reduce_max(lengths) ** 2
        x, inverse = minimum_and_inverse(
            shifted / (lengths[:, None] * lengths) + a[:, None] * a,
            a,
            moving,
            0.1 * TOLERANCE / size**0.5,
            20 * size,
        )
        x *= a
        weights = x / tf.reduce_sum(x)
        solved = duality_gap(shifted, moving, uniform) <= target
        weights = tf.where(solved, uniform, weights)
        change = tf.linalg.matvec(inverse, inner / lengths) / lengths
        mean = tf.reduce_sum(x * inner) / tf.reduce_sum(x)
        rest = tf.reduce_sum(inner * change) - tf.reduce_sum(change) * mean
        return weights, rest

    def search(count, k, low, high, before, *_):
        weights, rest = shortest(k)
        # What float32 leaves of a mean that all but cancels may be no length.
        sound = tf.reduce_all(tf.math.is_finite(weights))
        weights = tf.where(sound, weights, before)
        length = length_of(weights)
        excess = length - s * k
        # The combination's length does not fall with k: it bounds the root.
        low = tf.where(excess > 0.0, tf.maximum(low, length / s), low)
        high = tf.where(excess < 0.0, tf.minimum(high, length / s), high)
        root = tf.sqrt((length * length - k * k * rest) / (s * s - rest))
        inside = (root >= low) & (root <= high)
        more = sound & (tf.abs(excess) > TOLERANCE * s * k)
        following = tf.where(inside, root, tf.sqrt(low * high))
        return count + 1, following, low, high, weights, length, more

    zero = tf.zeros((), tf.float64)
    # As if the combination were as long as the mean.
    first = tf.sqrt(square) / s
    start = (first, zero, 1.0 / s, share, zero + 1.0, tf.reduce_any(moving))
    *_, weights, length, _ = tf.while_loop(
        lambda count, *state: (count < MAX_ROUNDS) & state[-1],
        search,
        (tf.constant(0), *start),
    )
    return share + ball / length * weights
