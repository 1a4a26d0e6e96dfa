"""Shares of the tasks that a weighter keeps between steps."""

import keras
import tensorflow as tf

from keras_mtl.solvers.simplex import simplex_projection
from keras_mtl.weighters.presence import seen_tasks

# Of a simplex projection: what is as far below 0 gets nothing.
NOTHING = -1e30


def add_shares(weighter, num_tasks):
    """Returns a new state of a weighter, `(K,)` equal shares."""
    equal = keras.initializers.Constant(1.0 / num_tasks)
    return weighter.add_state("shares", (num_tasks,), equal)


def move_shares(state, present, move):
    """Moves the shares of the tasks that are seen, and keeps the others'.

    Args:
        state: `(K,)` variable, non-negative and summing to 1.
        present: `(K,)` float32, or `None`.
        move: Function from float64 shares of the seen tasks, which sum to 1
            and are 0 elsewhere, and a boolean `(K,)`, which are seen, to
            shares of the same kind.

    Returns:
        `(K,)` float64, the new shares of the seen tasks, summing to 1.
    """
    # float64: what is small beside another task's shall not vanish.
    kept = tf.cast(state, tf.float64)
    zeros = tf.zeros_like(kept)
    seen = seen_tasks(kept, present)
    mass = tf.reduce_sum(tf.where(seen, kept, zeros))
    count = tf.reduce_sum(tf.cast(seen, tf.float64))
    equal = tf.ones_like(kept) / tf.maximum(count, 1.0)
    shares = tf.where(mass > 0.0, kept / tf.maximum(mass, 1e-30), equal)
    shares = move(tf.where(seen, shares, zeros), seen)
    state.assign(tf.cast(tf.where(seen, mass * shares, kept), tf.float32))
    return shares


def projected_shares(point, seen):
    """Returns the shares of the seen tasks that are nearest to a point."""
    nothing = tf.fill(point.shape, tf.cast(NOTHING, point.dtype))
    shares = simplex_projection(tf.where(seen, point, nothing))
    return tf.where(seen, shares, tf.zeros_like(point))
