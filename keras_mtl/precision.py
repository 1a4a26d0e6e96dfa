"""Mixed precision: loss scale and finiteness."""

import functools
from collections import Counter

import tensorflow as tf

# Entries up to which tensors are joined before they are looked at.
SMALL = 2**10
# What reads a variable. Anything else that takes one may assign it.
READS = (
    "ReadVariableOp",
    "ResourceGather",
    "ResourceGatherNd",
    "VariableShape",
    "VarIsInitializedOp",
)


def loss_scale(optimizer) -> tf.Tensor:
    """Returns the factor by which `optimizer` expects gradients scaled."""
    return tf.convert_to_tensor(optimizer.scale_loss(tf.constant(1.0)))


def inner_optimizer(optimizer):
    """Returns the optimizer that a loss-scaling one wraps, or itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def parts_of(optimizer) -> list:
    """Returns the optimizers that update variables: those of a several one."""
    inner = inner_optimizer(optimizer)
    return list(getattr(inner, "optimizers", None) or [inner])


def is_dynamic(optimizer) -> bool:
    """Whether `optimizer` lowers its loss scale when gradients overflow."""
    return hasattr(optimizer, "dynamic_scale")


def all_finite(tensors) -> tf.Tensor:
    """Returns a boolean scalar: whether every entry of `tensors` is finite.

    Args:
        tensors: Iterable of tensors, `tf.IndexedSlices` or `None`.
    """
    values = {
        id(value): value
        for tensor in tensors
        if tensor is not None
        for value in [getattr(tensor, "values", tensor)]
    }
    groups = {}
    for value in map(tf.convert_to_tensor, values.values()):
        groups.setdefault(_group(value), []).append(value)
    flags = [
        tf.reduce_all(tf.math.is_finite(_joined(group)))
        for group in groups.values()
    ]
    return functools.reduce(tf.logical_and, flags, tf.constant(True))


def _group(value):
    """Returns a key that tensors have in common which are joined.

    Few operations: a step of a small model consists of their number.
    """
    size = value.shape.num_elements()
    small = size is not None and size <= SMALL
    return value.dtype if small else id(value)


def _joined(values):
    if len(values) == 1:
        return values[0]
    flat = [v if v.shape.rank == 1 else tf.reshape(v, [-1]) for v in values]
    return tf.concat(flat, axis=0)


def stays_finite(state, before):
    """Whether no state overflowed: what is infinite would never recover.

    Args:
        state: List of tensors.
        before: List of tensors, their earlier values.

    Returns:
        Boolean scalar.
    """
    groups = {}
    for now, value in zip(state, before, strict=True):
        if value.dtype.is_floating:
            groups.setdefault(_group(value), []).append((now, value))
    flags = [
        tf.reduce_all(
            tf.math.is_finite(_joined(now)) | ~tf.math.is_finite(_joined(past))
        )
        for now, past in (zip(*pairs, strict=True) for pairs in groups.values())
    ]
    return functools.reduce(tf.logical_and, flags, tf.constant(True))


def keep_if(finite, variables, before, now=None):
    """Resets `variables` to the values `before` unless `finite`.

    Args:
        finite: Boolean scalar.
        variables: List of variables.
        before: List of tensors.
        now: List of tensors, the variables' values where they have been read.
    """
    now = variables if now is None else now
    for variable, old, new in zip(variables, before, now, strict=True):
        variable.assign(tf.where(finite, new, old))


def assigned_since(variables, before, handles, known=None) -> tuple[list, list]:
    """Returns those that may have been assigned in the graph, and what was.

    Args:
        variables: List of variables.
        before: List of their earlier values.
        handles: List of what `captured` returned, `None` outside a graph.
        known: `Counter` by the `id` of a variable's handle, of assignments
            that do not count; `None` for none.
    """
    known = known or Counter()
    found = [
        (variable, value)
        for variable, value, handle in zip(
            variables, before, handles, strict=True
        )
        if handle is None
        or sum(op.type not in READS for op in handle.consumers())
        > known[id(variable.value.handle)]
    ]
    return [v for v, _ in found], [value for _, value in found]


def captured(variables) -> list:
    """Returns the variables' handles in the graph that is being made."""
    if tf.executing_eagerly():
        return [None] * len(variables)
    graph = tf.compat.v1.get_default_graph()
    return [graph.capture(variable.value.handle) for variable in variables]


def run_if_finite(state, function, inputs):
    """Calls a function, whose changes of a state stand if all is finite.

    Args:
        state: List of variables.
        function: Function without arguments.
        inputs: Iterable of tensors that it reads.

    Returns:
        Its result, and whether the inputs and what it changed are finite.
    """
    before = [tf.convert_to_tensor(variable) for variable in state]
    handles = captured(state)
    result = function()
    finite = all_finite(inputs)
    moved, before = assigned_since(state, before, handles)
    if moved:
        now = [tf.convert_to_tensor(variable) for variable in moved]
        finite &= stays_finite(now, before)
        keep_if(finite, moved, before, now)
    return result, finite


def on_values(function, gradient):
    """Returns `function` of a gradient, of the rows at hand if it is sparse."""
    if isinstance(gradient, tf.IndexedSlices):
        values = function(gradient.values)
        return tf.IndexedSlices(values, gradient.indices, gradient.dense_shape)
    return function(gradient)
