"""The update within a ball whose worst inner product is largest."""

import tensorflow as tf

from keras_mtl.solvers.active_set import nonnegative_minimum
from keras_mtl.solvers.cosines import FLOOR

MAX_ROUNDS = 20
TINY = 1e-30
TOLERANCE = 1e-9


def conflict_averse_weights(gradients, radius):
    """Weights of the best update for the worst task near the mean.

    The update is `mean + s * g / |g|` with `s = radius * |mean|` and a convex
    combination `g` of the gradients. For a given length `k` of `g`, it is the
    shortest combination of the gradients shifted by `k / s * mean`. Between
    two changes of the tasks that take part, the length's square is linear in
    that of `k`, so that few values are tried; what is known of the root
    brackets it.

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
    infinity = tf.constant(float("inf"), tf.float64)
    # Divided by the longest: the method knows no scale.
    longest = tf.maximum(tf.reduce_max(gradients.norms), TINY)
    norms = gradients.norms / longest
    gramian = cosines * norms[:, None] * norms
    inner = tf.linalg.matvec(gramian, share)
    square = tf.maximum(tf.reduce_sum(share * inner), 0.0)
    mean = tf.sqrt(square)
    ball = radius * mean
    # Only for the search: without a mean gradient nothing is added.
    unit = tf.maximum(ball, 1e-9)
    along, ahead = inner / unit, square / unit**2

    def shortest(k):
        # Of the shifted gradients; see `min_norm_point`, whose problem this
        # is, for `a`.
        shifted = gramian + k * (along[:, None] + along) + k * k * ahead
        lengths = norms * norms + 2.0 * k * along + k * k * ahead
        lengths = tf.sqrt(tf.maximum(lengths, TINY))
        least = tf.reduce_min(tf.where(moving, lengths, infinity))
        a = tf.where(moving, least / lengths, 0.0)
        x, _ = nonnegative_minimum(
            shifted / (lengths[:, None] * lengths) + a[:, None] * a,
            a,
            moving,
            threshold=0.1 * TOLERANCE / size**0.5,
            max_steps=20 * size,
            in_turn=False,
        )
        total = tf.reduce_sum(a * x)
        # What float32 leaves of a mean that all but cancels may be no length.
        return a * x / total, (total > 0.0) & (total < infinity)

    def search(count, k, bracket, k_before, length_before, before, _):
        weights, sound = shortest(k)
        weights = tf.where(sound, weights, before)
        length = tf.reduce_sum(gramian * weights[:, None] * weights)
        length = tf.sqrt(tf.maximum(length, 0.0))
        length = tf.maximum(length, FLOOR * tf.reduce_sum(weights * norms))
        # It does not fall with k, and so bounds the root.
        bracket = tf.where((length > k) == [True, False], length, bracket)
        # Its square is linear in that of k while no task enters or leaves.
        slope = length * length - length_before * length_before
        slope /= k * k - k_before * k_before
        root = tf.sqrt((length * length - k * k * slope) / (1.0 - slope))
        inside = (root >= bracket[0]) & (root <= bracket[1])
        more = sound & (tf.abs(length - k) > TOLERANCE * k)
        following = tf.where(inside, root, tf.sqrt(bracket[0] * bracket[1]))
        return count + 1, following, bracket, k, length, weights, more

    # Where the mean serves all tasks alike, whatever k is, so does uniform.
    counted = tf.reduce_sum(tf.where(moving, share, 0.0))
    counted = tf.maximum(counted, TINY)
    uniform = tf.where(moving, share / counted, 0.0)
    lowest = tf.reduce_min(tf.where(moving, inner, infinity))
    differ = square / counted - lowest > 0.1 * TOLERANCE
    length = tf.maximum(mean / counted, TINY)
    bracket = tf.constant([0.0, 1.0], tf.float64)
    # The first k as if the combination were as long as the mean.
    *_, length, weights, _ = tf.while_loop(
        lambda count, *state: (count < MAX_ROUNDS) & state[-1],
        search,
        (tf.constant(0), mean, bracket, infinity, length, uniform, differ),
    )
    return share + ball / length * weights
