"""Replicas: the only file that knows of `tf.distribute`.

A signal is global: reduced here, it has the same value on every replica. A
gradient stays local, and the optimizer sums it over the replicas once.
"""

import functools
from typing import Any

import keras
import tensorflow as tf

from keras_mtl import compat
from keras_mtl.conditional_update import apply_if
from keras_mtl.precision import (
    inner_optimizer,
    is_dynamic,
    on_values,
    parts_of,
)


def num_replicas() -> int:
    """Returns the number of replicas that train in step."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def check_strategy(strategy, jit_compile):
    """Raises if replicas under `strategy` cannot train in step.

    Args:
        strategy: `tf.distribute.Strategy`.
        jit_compile: Boolean, whether XLA is to compile the step.

    Raises:
        ValueError: With what works instead.
    """
    if isinstance(strategy, tf.distribute.ParameterServerStrategy):
        raise ValueError(
            "Weighters need the losses of all workers on one batch, and under "
            "ParameterServerStrategy each has batches of its own. Compile in "
            "the scope of a MultiWorkerMirroredStrategy."
        )
    replicas = strategy.num_replicas_in_sync
    if jit_compile and replicas > 1:
        raise ValueError(
            "XLA cannot compile a training step whose sums go over several "
            "replicas. Pass jit_compile=False, or leave it out. Received: "
            f"jit_compile=True with {replicas} replicas."
        )


def check_optimizer(optimizer):
    """Raises if several replicas cannot train with `optimizer`.

    Raises:
        ValueError: If its update stands in a conditional of Keras' own, where
            TensorFlow refuses to sum over replicas.
    """
    if num_replicas() == 1:
        return
    parts = parts_of(optimizer)
    for name, instead in (
        ("gradient_accumulation_steps", "Train without it, on more replicas"),
        ("ema_overwrite_frequency", "Average by use_ema=True alone"),
    ):
        if value := next(filter(None, (getattr(p, name) for p in parts)), None):
            raise ValueError(
                f"Several replicas cannot train with an optimizer's `{name}`. "
                f"{instead}. Received: {name}={value!r}, "
                f"{num_replicas()} replicas"
            )


def all_sum(values) -> Any:
    """Returns a tensor, or a list of gradients, summed over the replicas."""
    if num_replicas() == 1 or tf.distribute.in_cross_replica_context():
        return values
    context = tf.distribute.get_replica_context()
    if not isinstance(values, list):
        return context.all_reduce(tf.distribute.ReduceOp.SUM, values)
    given = [value for value in values if value is not None]
    summed = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, given))
    return [None if value is None else next(summed) for value in values]


def rows_before(rows):
    """Returns how many rows replicas before this one have, `(n,)` as given."""
    if num_replicas() == 1 or tf.distribute.in_cross_replica_context():
        return tf.zeros_like(rows)
    context = tf.distribute.get_replica_context()
    own = context.replica_id_in_sync_group
    place = tf.one_hot(own, num_replicas(), dtype=rows.dtype)
    of_all = all_sum(place[:, None] * rows)
    return tf.gather(tf.cumsum(of_all, exclusive=True), own)


def replicated(strategy, step):
    """Returns a function that runs a step on every replica.

    Args:
        strategy: `tf.distribute.Strategy` of several replicas.
        step: Function from a replica's part of a batch to a dict of tensors.

    Returns:
        Function from a batch to a dict of the means over replicas.
    """
    mean = functools.partial(
        strategy.reduce, tf.distribute.ReduceOp.MEAN, axis=None
    )
    run = functools.partial(strategy.run, step)
    return lambda batch: tf.nest.map_structure(mean, run((batch,)))


def yields_in_graphs(iterator) -> bool:
    """Whether a graph may take batches of an iterator, over replicas or not."""
    kinds = (tf.distribute.DistributedIterator, tf.data.Iterator)
    return isinstance(iterator, kinds)


def workers_strategy():
    """Returns the strategy of the workers that `TF_CONFIG` names.

    Must be called before TensorFlow runs its first operation; waits until all
    workers are there.
    """
    return tf.distribute.MultiWorkerMirroredStrategy()


def is_first_worker(strategy) -> bool:
    """Whether this process is the one that writes files for all workers."""
    return strategy.extended.should_checkpoint


def share_seed(strategy):
    """Makes all workers draw the same random numbers from here on.

    Each shuffles all rows before it takes its own: other orders would leave
    rows out.
    """
    if not compat.has_several_workers(strategy):
        return
    seed = tf.random.uniform([], maxval=2**20, dtype=tf.int32)
    seed *= int(is_first_worker(strategy))

    @tf.function  # TensorFlow warns of sums over workers outside of one.
    def of_first_worker():
        seeds = strategy.run(tf.identity, args=(seed,))
        return strategy.reduce(tf.distribute.ReduceOp.SUM, seeds, axis=None)

    keras.utils.set_random_seed(int(of_first_worker()))


def first_position(position, length):
    """Returns the first position on any replica, or -1 if there is none.

    Args:
        position: Integer scalar, -1 for none.
        length: Integer, how many positions there are.
    """
    if num_replicas() == 1:
        return position
    found = all_sum(tf.one_hot(position, length)) > 0.0
    first = tf.argmax(found, output_type=tf.int32)
    return tf.where(tf.reduce_any(found), first, -1)


def apply_gradients(optimizer, gradients, variables, finite, compiled):
    """Applies local gradients on every replica, if the step is finite.

    Args:
        optimizer: A built Keras optimizer.
        gradients: List of tensors, `tf.IndexedSlices` or `None`; their sum
            over replicas is the gradient.
        variables: List of as many trainable variables.
        finite: Boolean scalar, the same on every replica. If false, neither
            the variables nor the optimizer change.
        compiled: Boolean, whether XLA compiles the step.
    """
    # A `MultiOptimizer` wants one for each of its variables.
    every = len(parts_of(optimizer)) > 1
    pairs = [
        (gradient, variable)
        for gradient, variable in zip(gradients, variables, strict=True)
        if gradient is not None or every
    ]
    if not pairs:
        return
    gradients, variables = zip(*pairs, strict=True)
    if is_dynamic(optimizer):
        # Skips non-finite gradients itself, and must see them to lower its
        # loss scale.
        poison = tf.where(finite, 0.0, float("nan"))
        first = next(n for n, g in enumerate(gradients) if g is not None)
        gradients = list(gradients)
        gradients[first] = on_values(
            lambda v: v + tf.cast(poison, v.dtype), gradients[first]
        )
        finite = None
    if not _in_replica():
        apply_if(finite, optimizer, gradients, variables, compiled)
        return
    gradients = _clip_globally(optimizer, gradients)
    if finite is None:
        optimizer.apply(gradients, variables)
        return

    def applied_everywhere(strategy, gradients):
        strategy.extended.call_for_each_replica(
            lambda grads: optimizer.apply(grads, variables), args=(gradients,)
        )
        return True

    def in_cross_replica(strategy, gradients, finite):
        # A `tf.cond` whose branch reduces over replicas must be outside them.
        first = strategy.experimental_local_results(finite)[0]
        tf.cond(
            first,
            lambda: applied_everywhere(strategy, gradients),
            lambda: False,
        )

    tf.distribute.get_replica_context().merge_call(
        in_cross_replica, args=(list(gradients), finite)
    )


def _in_replica():
    """Whether a strategy, even one of a single replica, runs the step."""
    context = tf.distribute
    return context.has_strategy() and not context.in_cross_replica_context()


def _clip_globally(optimizer, gradients):
    """Clips the sum over replicas, where Keras would clip each addend.

    Returns one replica's share of the clipped sum. It is below every clipping
    threshold, so that clipping it again changes nothing.
    """
    inner = inner_optimizer(optimizer)
    limits = (inner.clipnorm, inner.global_clipnorm, inner.clipvalue)
    if not any(limits):
        return gradients
    gradients = all_sum(list(gradients))
    scale = optimizer.scale_loss(1.0)
    unscaled = [on_values(lambda v: v / scale, g) for g in gradients]
    share = scale / num_replicas()
    return [
        on_values(lambda v: v * share, g)
        for g in compat.clipped(inner, unscaled)
    ]
