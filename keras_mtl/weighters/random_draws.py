"""Random numbers that a weighter saves, the same in every execution."""

import random

import keras
import tensorflow as tf

from keras_mtl.checks import integer


def checked_seed(seed):
    """Returns `seed`, or one drawn at random for `None`."""
    if seed is None:
        seed = random.randrange(2**31)
    return integer("seed", seed, 0)


def add_random_state(weighter):
    """Adds the random state to a weighter: its `seed` and the calls so far."""
    weighter.random_state = weighter.add_state(
        "random_state",
        (2,),
        keras.initializers.Constant([weighter.seed, 0]),
        dtype="int64",
    )


def draw_integers(weighter, shape):
    """Returns int64 numbers from 0 to 2**32 - 1, anew at each call.

    Philox's plain integers: XLA turns them into other fractions.
    """
    state = tf.convert_to_tensor(weighter.random_state)
    weighter.random_state.assign_add([0, 1])
    drawn = tf.random.stateless_uniform(
        shape, state, None, None, tf.uint32, alg="philox"
    )
    return tf.cast(drawn, tf.int64)


def draw_orders(weighter, num_tasks):
    """Returns `(K, K)` integers: for each task, an order of all of them.

    That of the heads where the weighter's `shuffle` is false.
    """
    shape = (num_tasks, num_tasks)
    if not weighter.shuffle:
        return tf.broadcast_to(tf.range(num_tasks), shape)
    return tf.argsort(draw_integers(weighter, shape), axis=1, stable=True)


def draw_fractions(weighter, shape):
    """Returns float64 numbers between 0 and 1, both excluded."""
    drawn = tf.cast(draw_integers(weighter, shape), tf.float64)
    return (drawn + 0.5) / 2.0**32
