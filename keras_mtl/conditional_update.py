"""An optimizer's update, of which nothing stays unless the step is finite."""

from collections import Counter

import keras
import tensorflow as tf

from keras_mtl import compat
from keras_mtl.precision import assigned_since, captured, keep_if, parts_of


def apply_if(finite, optimizer, gradients, variables, compiled):
    """Applies gradients if `finite`; else changes no variable.

    Args:
        finite: Boolean scalar, or `None` for always.
        optimizer: A built Keras optimizer.
        gradients: List of tensors, `tf.IndexedSlices` or `None`.
        variables: List of as many variables.
        compiled: Boolean, whether XLA compiles what is traced.
    """
    if finite is None:
        optimizer.apply(gradients, variables)
    elif compiled:
        # After a conditional, XLA lets later reads see the old parameters.
        _apply_selecting(finite, optimizer, gradients, variables)
    else:
        tf.cond(
            finite,
            lambda: _applied(optimizer, gradients, variables),
            lambda: False,
        )


def _applied(optimizer, gradients, variables):
    optimizer.apply(gradients, variables)
    return True


def _apply_selecting(finite, optimizer, gradients, variables):
    # Averages are written to variables without a gradient, too.
    moved = [*variables, *compat.optimized_variables(optimizer)]
    state = [*{id(v): v for v in (*moved, *optimizer.variables)}.values()]
    before = [tf.convert_to_tensor(variable) for variable in state]
    handles = captured(state)
    assignments = Assignments(finite)
    parts = [part for part in parts_of(optimizer) if assignments.fit(part)]
    for part in parts:
        part.assign = assignments.assign
        part.assign_add = assignments.assign_add
        part.assign_sub = assignments.assign_sub
    try:
        optimizer.apply(gradients, variables)
    finally:
        for part in parts:
            del part.assign, part.assign_add, part.assign_sub
    # Decay of weights, averages of them and counters are assigned directly.
    moved, before = assigned_since(state, before, handles, assignments.made)
    keep_if(finite, moved, before)


class Assignments:
    """What an optimizer calls to assign, which then keeps the old value.

    A selection afterwards would do, but XLA would copy each slot first: of
    Adam's, the variable's own update still reads the old value. Here it reads
    what was selected, which where it matters is the same.

    Args:
        finite: Boolean scalar; if false, each variable keeps its value.

    Attributes:
        made: `Counter` of assignments made in the graph where this was made,
            by the `id` of a variable's handle.
    """

    METHODS = "assign", "assign_add", "assign_sub"

    def __init__(self, finite):
        self._finite = finite
        self._graph = tf.compat.v1.get_default_graph()
        self.made = Counter()

    def fit(self, optimizer) -> bool:
        """Whether an optimizer assigns as Keras' own do."""
        return all(
            name not in vars(optimizer)
            and getattr(type(optimizer), name)
            is getattr(keras.optimizers.Optimizer, name)
            for name in self.METHODS
        )

    def assign(self, variable, value):
        """Assigns a value, or rows of it."""
        variable, value = self._prepared(variable, value)
        if isinstance(value, tf.IndexedSlices):
            old = tf.gather(variable, value.indices)
            rows = tf.where(self._finite, value.values, old)
            variable.scatter_update(tf.IndexedSlices(rows, value.indices))
        else:
            variable.assign(tf.where(self._finite, value, variable))

    def assign_add(self, variable, value):
        """Adds a value, or rows of it."""
        variable, value = self._prepared(variable, value)
        if isinstance(value, tf.IndexedSlices):
            # To add -0.0 changes no number, not even the sign of 0.0.
            rows = tf.where(self._finite, value.values, -0.0)
            variable.scatter_add(tf.IndexedSlices(rows, value.indices))
        else:
            new = variable + value
            variable.assign(tf.where(self._finite, new, variable))

    def assign_sub(self, variable, value):
        """Subtracts a value, or rows of it."""
        variable, value = self._prepared(variable, value)
        if isinstance(value, tf.IndexedSlices):
            rows = tf.where(self._finite, value.values, 0.0)
            variable.scatter_sub(tf.IndexedSlices(rows, value.indices))
        else:
            new = variable - value
            variable.assign(tf.where(self._finite, new, variable))

    def _prepared(self, variable, value):
        if isinstance(variable, keras.Variable):
            variable = variable.value
        if tf.compat.v1.get_default_graph() is self._graph:
            self.made[id(variable.handle)] += 1
        return variable, tf.cast(value, variable.dtype)
