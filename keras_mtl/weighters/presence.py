"""Which tasks have a label in the batch, and weights shared among them."""

import tensorflow as tf


def seen_tasks(losses, present):
    """Returns `(K,)` booleans: which tasks have a label in the batch."""
    return tf.ones_like(losses, tf.bool) if present is None else present > 0.0


def mean_over(values, seen):
    """Returns the mean of `values` over the tasks in `seen`, or 0."""
    mask = tf.cast(seen, values.dtype)
    total = tf.reduce_sum(tf.where(seen, values, tf.zeros_like(values)))
    return tf.math.divide_no_nan(total, tf.reduce_sum(mask))


def softmax_over(logits, seen):
    """Returns the softmax over the tasks in `seen`; 0 for the others."""
    low = tf.fill(tf.shape(logits), logits.dtype.min)
    logits = tf.where(seen, logits, low)
    odds = tf.exp(logits - tf.reduce_max(logits, -1, keepdims=True))
    odds = tf.where(seen, odds, tf.zeros_like(odds))
    return tf.math.divide_no_nan(odds, tf.reduce_sum(odds, -1, keepdims=True))


def softmax_weights(logits, seen, latest):
    """Returns K times the softmax, where every task has a label.

    Absent tasks keep their latest weight, and the others share what remains
    of K.

    Args:
        logits: `(..., K)` tensor.
        seen: `(K,)` booleans, as `seen_tasks` returns them.
        latest: `(K,)` float32, the latest weights, summing to K.

    Returns:
        `(..., K)` float32 weights.
    """
    latest = tf.convert_to_tensor(latest)
    kept = tf.reduce_sum(tf.where(seen, tf.zeros_like(latest), latest))
    rest = tf.maximum(seen.shape[0] - kept, 0.0)
    shares = tf.cast(softmax_over(logits, seen), tf.float32)
    return tf.where(seen, rest * shares, latest)
