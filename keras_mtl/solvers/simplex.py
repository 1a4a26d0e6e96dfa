"""The projection onto the simplex."""

from typing import Any

import tensorflow as tf


def simplex_projection(point: Any) -> tf.Tensor:
    """Returns the point of the simplex that is nearest to `point`.

    Example:

    >>> simplex_projection(tf.constant([0.8, 0.6]))  # -> [0.6, 0.4]

    Args:
        point: `(K,)` float; K static.

    Returns:
        `(K,)`, non-negative, summing to 1.

    Reference:
        - [Duchi et al., 2008](https://doi.org/10.1145/1390156.1390191)
    """
    falling = tf.sort(point, direction="DESCENDING")
    excess = tf.cumsum(falling) - 1.0
    ranks = tf.range(1, point.shape[0] + 1)
    inside = falling * tf.cast(ranks, point.dtype) > excess
    count = tf.maximum(tf.reduce_sum(tf.cast(inside, tf.int32)), 1)
    level = tf.gather(excess, count - 1) / tf.cast(count, point.dtype)
    return tf.maximum(point - level, 0.0)
