"""Checks that eager, graph, XLA and replicated execution agree."""

import functools
import warnings

import tensorflow as tf

from keras_mtl.solvers.compiling import plain_kernels
from keras_mtl.testing.compiled import compiled, eager
from keras_mtl.testing.replicas import two_replicas
from keras_mtl.testing.signal_families import signal_sequence
from keras_mtl.testing.trial import (
    RESULTS,
    ConformanceError,
    advance,
    expect_same,
    fresh,
    history,
    state,
)

FEW = 3


def check_graph(make, num_tasks):
    """A `tf.function` does what eager execution does."""
    remedy = (
        "Keep state in variables and use no NumPy, Python `if` or `for` on "
        "tensors. Draw random numbers with `tf.random.stateless_*` from a "
        "state made with `add_state`."
    )
    if num_tasks > FEW:  # Where eager solvers take long.
        weighter = fresh(make, num_tasks)
        sequence = signal_sequence(weighter, num_tasks, ["random"])
        expected = history(weighter, sequence)
    else:
        _, sequence, expected = eager(make, num_tasks)
    received = compiled(make, num_tasks).history_in_graph(sequence)
    expect_same(received, expected, remedy, 1e-5)


def check_xla(make, num_tasks):
    """So does one compiled with XLA."""
    remedy = (
        "Use static shapes and capped loops. Random fractions differ "
        "under XLA; whole numbers with `alg='philox'` do not."
    )
    _, sequence, expected = eager(make, num_tasks)
    received = compiled(make, num_tasks).history_with_xla(sequence)
    expect_same(received, expected, remedy, 1e-5)


def check_no_retrace(make, num_tasks):
    """Three steps are traced once."""
    weighter = compiled(make, num_tasks)
    sequence = signal_sequence(weighter.weighter, num_tasks)
    weighter.history_in_graph(sequence)
    if weighter.num_traces != 1:
        raise ConformanceError(
            f"expected 1 trace over {len(sequence)} steps; received "
            f"{weighter.num_traces}. Make all state in `build`, and take no "
            "Python value that changes from step to step."
        )


def check_two_replicas(make, num_tasks):
    """Each of two replicas does what one device does."""
    strategy = two_replicas()
    if strategy is None:
        warnings.warn(
            "check_two_replicas was left out: TensorFlow was initialised with "
            "one CPU device. Import keras_mtl.testing and call "
            "`two_replicas()` before TensorFlow runs anything.",
            stacklevel=2,
        )
        return
    alone = compiled(make, num_tasks)
    sequence = signal_sequence(alone.weighter, num_tasks)
    expected = alone.history(sequence)
    with strategy.scope():
        replicated = fresh(make, num_tasks)
    skipped = {
        name: tf.zeros(num_tasks) for name in RESULTS if name in expected[0]
    }

    @tf.function(autograph=False)
    def step(signals, finite):
        # A conditional, as in training: a non-finite step is left out.
        with plain_kernels():
            return strategy.run(
                lambda: tf.cond(
                    finite,
                    lambda: advance(replicated, signals),
                    lambda: skipped,
                )
            )

    received = [[], []]
    for signals in sequence:
        results = step(signals, tf.constant(True))
        for replica, rows in enumerate(received):
            pick = functools.partial(_on_replica, strategy, replica)
            weights = {name: pick(value) for name, value in results.items()}
            rows.append({**weights, **state(replicated, pick)})
    for replica, rows in enumerate(received):
        expect_same(
            rows,
            expected,
            f"This was replica {replica} of 2, with the signals of the global "
            "batch on each. Make state with `add_state`, and reduce nothing.",
            1e-5,
        )


def _on_replica(strategy, replica, value):
    value = getattr(value, "value", value)
    return strategy.experimental_local_results(value)[replica].numpy()
