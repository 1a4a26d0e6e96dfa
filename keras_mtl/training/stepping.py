"""Which step to take next, and several of them at once."""

import functools
import itertools

import tensorflow as tf

from keras_mtl import distribution


def one_of_two(run, variants, wrap):
    """Returns a function that runs a step, or the other where it is its turn.

    Args:
        run: Function of a batch.
        variants: `None`, or the other function and one that returns whether
            it is the other's turn, a boolean scalar.
        wrap: Function from a step to the function that runs it.
    """
    if variants is None:
        return wrap(run)
    other, is_others_turn = variants

    def either(batch):
        return tf.cond(
            is_others_turn(),
            lambda: wrap(other)(batch),
            lambda: wrap(run)(batch),
        )

    return either


def steps_function(
    strategy, step, steps, eagerly, variants=None, compiled=False
):
    """Returns a function of an iterator that trains on its next batches.

    Keras' own fails under several replicas where it takes several steps at
    once, and under several workers where a log is a scalar; and where there
    are variants, XLA would compile both as one and copy all variables.

    Args:
        strategy: `tf.distribute.Strategy`.
        step: Function from a replica's part of a batch to a dict of tensors.
        steps: Integer, steps to take at once; fewer where the data end.
        eagerly: Boolean, whether to run without a graph.
        variants: As `one_of_two` takes them.
        compiled: Boolean, whether XLA compiles a step, on one replica.

    Returns:
        Function from an iterator to the last step's dict, means over replicas.
        Without a batch it raises `tf.errors.OutOfRangeError`.
    """
    graph = functools.partial(
        tf.function, autograph=False, reduce_retracing=True
    )
    wrap = functools.partial(distribution.replicated, strategy)
    if strategy.num_replicas_in_sync == 1:
        wrap = functools.partial(graph, jit_compile=compiled)
        if eagerly:
            wrap = _as_it_is
    # Chosen outside: a branch inside a replica cannot reduce.
    one_step = one_of_two(step, variants, wrap)

    def next_step(iterator, number, _, logs):
        batch = iterator.get_next_as_optional()
        more = batch.has_value()
        # Not a `tf.function`: called in a branch, it loses its arguments.
        logs = tf.cond(more, lambda: one_step(batch.get_value()), lambda: logs)
        return number + 1, more, logs

    def several_steps(iterator):
        logs = one_step(iterator.get_next())
        if steps == 1:
            return logs
        *_, logs = tf.while_loop(
            lambda number, more, _: more & (number < steps),
            functools.partial(next_step, iterator),
            (tf.constant(1), tf.constant(True), logs),
            parallel_iterations=1,  # One updates what the next one reads.
        )
        return logs

    on_batch, on_iterator = (
        function if eagerly else graph(function)
        for function in (one_step, several_steps)
    )

    def run(iterator):
        if distribution.yields_in_graphs(iterator):
            return on_iterator(iterator)
        return [on_batch(b) for b in itertools.islice(iterator, steps)][-1]

    return run


def _as_it_is(step):
    return step
