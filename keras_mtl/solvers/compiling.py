"""Solvers as one kernel."""

import tensorflow as tf


def one_kernel(function):
    """Returns `function`, compiled where a graph is being made.

    Hundreds of small operations are made one: also where what calls this is
    not compiled.

    Args:
        function: Function of tensors of static shape, without state.
    """
    if tf.executing_eagerly():
        return function
    return tf.function(function, jit_compile=True, autograph=False)
