"""Compiling a solver into one kernel."""

import contextlib

import tensorflow as tf

_PLAIN = []


def one_kernel(function):
    """Returns `function`, compiled where a graph is being made.

    Hundreds of small operations are made one: also where what calls this is
    not compiled.

    Args:
        function: Function of tensors of static shape, without state.
    """
    if tf.executing_eagerly() or _PLAIN:
        return function
    return tf.function(function, jit_compile=True, autograph=False)


@contextlib.contextmanager
def plain_kernels():
    """Leaves solvers as they are in graphs made inside this context.

    To compile takes longer than all that a short test runs. Replicas, whose
    threads make graphs of their own, are inside too.
    """
    _PLAIN.append(True)
    try:
        yield
    finally:
        _PLAIN.pop()
