"""The update within a ball whose worst inner product is largest."""

import tensorflow as tf

from keras_mtl.solvers.cosines import FLOOR
from keras_mtl.solvers.linear import spd_solve
from keras_mtl.solvers.min_norm import min_norm_weights

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
    square = tf.maximum(tf.reduce_sum(share * inner), 0.0)
    ball = radius * tf.sqrt(square)
    # Only for the search: without a mean gradient nothing is added.
    s = tf.maximum(ball, 1e-9)
    inverse = tf.where(moving, tf.math.divide_no_nan(1.0, norms), 0.0)

    def length_of(weights):
        along = tf.reduce_sum(weights * tf.linalg.matvec(gramian, weights))
        least = FLOOR * tf.reduce_sum(weights * norms)
        return tf.maximum(tf.sqrt(tf.maximum(along, 0.0)), least)

    def face_root(weights):
        # In closed form, if no task enters or leaves.
        active = weights > 0.0
        both = active[:, None] & active
        matrix = tf.where(both, cosines, 0.0)
        matrix = tf.linalg.set_diag(matrix, tf.ones(size, tf.float64) + 1e-12)
        scale = tf.where(active, inverse, 0.0)
        right = tf.stack([scale, scale * inner], 1)
        p, q = tf.unstack(scale[:, None] * spd_solve(matrix, right), axis=1)
        total, mixed = tf.reduce_sum(p), tf.reduce_sum(q)
        rest = tf.reduce_sum(inner * q) - mixed * mixed / total
        return tf.sqrt(1.0 / total / (s * s - rest))

    def search(count, k, low, high, *_):
        shifted = gramian + k * (inner[:, None] + inner) + k * k * square
        scale = tf.reduce_max(tf.linalg.diag_part(shifted))
        weights, _ = min_norm_weights(
            tf.where(moving[:, None] & moving, shifted / scale, 0.0),
            moving,
            20 * size,
            TOLERANCE,
        )
        length = length_of(weights)
        excess = length - s * k
        # The combination's length does not fall with k: it bounds the root.
        low = tf.where(excess > 0.0, tf.maximum(low, length / s), low)
        high = tf.where(excess < 0.0, tf.minimum(high, length / s), high)
        root = face_root(weights)
        inside = (root >= low) & (root <= high)
        more = tf.abs(excess) > TOLERANCE * s * k
        following = tf.where(inside, root, tf.sqrt(low * high))
        return count + 1, following, low, high, weights, length, more

    zero = tf.zeros((), tf.float64)
    start = (zero, zero, 1.0 / s, share, zero + 1.0, tf.reduce_any(moving))
    *_, weights, length, _ = tf.while_loop(
        lambda count, *state: (count < MAX_ROUNDS) & state[-1],
        search,
        (tf.constant(0), *start),
    )
    return share + ball / length * weights
