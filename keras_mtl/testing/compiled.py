"""A weighter whose graph serves all checks.

Tracing costs more than the steps of a check: there is one trace for each
weighter and number of tasks. Solvers are left uncompiled in it, since to
compile them costs more than all else: one check does, of the whole step.
"""

import functools

import tensorflow as tf

from keras_mtl.solvers.compiling import plain_kernels
from keras_mtl.testing.signal_families import signal_sequence
from keras_mtl.testing.trial import advance, fresh, history, read


@functools.lru_cache(maxsize=8)
def compiled(make, num_tasks):
    """Returns the `CompiledWeighter` of a factory, the same at each call."""
    return CompiledWeighter(make, num_tasks)


@functools.lru_cache(maxsize=8)
def eager(make, num_tasks):
    """Returns a weighter, its signals of three steps, and its history.

    The same at each call, with a weighter after these steps.
    """
    weighter = fresh(make, num_tasks)
    sequence = signal_sequence(weighter, num_tasks)
    return weighter, sequence, history(weighter, sequence)


class CompiledWeighter:
    """A weighter, and a graph of `advance` as `fit` runs it.

    Args:
        make: Weighter class, or function that returns a new weighter.
        num_tasks: Integer, the number of tasks K.

    Attributes:
        weighter: `Weighter`.
        failure: What tracing or running the graph raised, or `None`.
        num_traces: Integer.
    """

    def __init__(self, make, num_tasks):
        self.weighter = fresh(make, num_tasks)
        self.failure, self.num_traces = None, 0
        self._initial = [(v, read(v)) for v in self.weighter.variables]
        # Without AutoGraph, as Keras traces a training step.
        self._graph = tf.function(
            functools.partial(self._advance), autograph=False
        )

    def _advance(self, signals):
        self.num_traces += 1
        with plain_kernels():
            return advance(self.weighter, signals)

    def _step(self, signals):
        if self.failure is None:
            try:
                return self._graph(signals)
            except Exception as error:
                # Of this one check tells; the others go on eagerly.
                self.failure = error
        return advance(self.weighter, signals)

    def history(self, sequence):
        """Returns results and state after each step, from the first state on.

        Args:
            sequence: List of dicts of tensors by signal name.
        """
        return self._history(sequence, self._step)

    def history_in_graph(self, sequence):
        """Returns the same, or raises what the graph raised."""
        rows = self.history(sequence)
        if self.failure is not None:
            raise self.failure
        return rows

    def history_with_xla(self, sequence):
        """Returns the same of the same graph, compiled."""
        step = tf.function(self._graph, autograph=False, jit_compile=True)
        return self._history(sequence, step)

    def _history(self, sequence, step):
        for variable, value in self._initial:
            variable.assign(value)
        return history(self.weighter, sequence, step)
