"""Which part of an operation's inputs a part of its result is made of.

A part is a range on one axis, `Part(axis, start, stop)`; `None` is all of a
tensor. What is not known to keep parts apart takes all of its inputs, which is
never too little.
"""

import itertools
import math
from typing import NamedTuple

import tensorflow as tf

from keras_mtl.gradients.contractions import labels_of


class Part(NamedTuple):
    """The entries of a tensor from `start` to `stop` on one axis."""

    axis: int
    start: int
    stop: int


def overlap(first, second) -> bool:
    """Whether two parts of a tensor have entries in common."""
    if first is None or second is None or first.axis != second.axis:
        return True
    return first.start < second.stop and second.start < first.stop


# Operations whose entries are made of those at the same place.
ENTRY_BY_ENTRY = frozenset(
    (
        *("Identity", "Cast", "AddV2", "Add", "Sub", "Mul"),
        *("RealDiv", "Maximum", "Minimum", "Neg", "Square", "Sqrt", "Rsqrt"),
        *("Exp", "Log", "Log1p", "Tanh", "Sigmoid", "Relu", "Relu6", "Elu"),
        *("Selu", "LeakyRelu", "Softplus", "Softsign", "Erf", "Abs", "Pow"),
        *("SquaredDifference", "SelectV2", "DivNoNan"),
    )
)
# The same, but along the last axis.
ROW_BY_ROW = frozenset(("Softmax", "LogSoftmax"))
REDUCTIONS = frozenset(("Sum", "Mean", "Max", "Min", "Prod"))


def inputs_of_part(op, number, part) -> list:
    """Returns the inputs of an operation, each with the part that is read.

    Args:
        op: `tf.Operation`.
        number: Integer, which of its results.
        part: `Part` of the result, or `None`.
    """
    every = [(tensor, None) for tensor in op.inputs]
    shape = op.outputs[number].shape
    if shape.rank is None or any(t.shape.rank is None for t in op.inputs):
        return every
    rule = _RULES.get(op.type)
    if rule is not None:
        return rule(op, number, part) or every
    if part is None:
        return every
    if op.type in ENTRY_BY_ENTRY or (
        op.type in ROW_BY_ROW and part.axis < shape.rank - 1
    ):
        return [(t, _broadcast(t, part, shape)) for t in op.inputs]
    labels = labels_of(op)
    if labels is not None:
        left, right, result = labels
        label, length = result[part.axis], shape[part.axis]
        return [
            (tensor, _at(tensor, term, label, length, part))
            for tensor, term in zip(op.inputs, (left, right), strict=True)
        ]
    return every


def _broadcast(tensor, part, shape):
    axis = part.axis - (shape.rank - tensor.shape.rank)
    if axis < 0 or tensor.shape[axis] != shape[part.axis]:
        return None
    return part._replace(axis=axis)


def _at(tensor, term, label, length, part):
    if label not in term or tensor.shape[term.index(label)] != length:
        return None
    return part._replace(axis=term.index(label))


def _read(op, number, part):
    return [(op.inputs[0], part)]  # A handle has no axes.


def _bias(op, number, part):
    if part is None or op.get_attr("data_format") != b"NHWC":
        return None
    value, bias = op.inputs
    last = part.axis == value.shape.rank - 1
    return [(value, part), (bias, part._replace(axis=0) if last else None)]


def _pack(op, number, part):
    axis = op.get_attr("axis") % op.outputs[0].shape.rank
    if part is None:
        return None
    if part.axis == axis:
        return [(t, None) for t in op.inputs[part.start : part.stop]]
    moved = part._replace(axis=part.axis - (part.axis > axis))
    return [(tensor, moved) for tensor in op.inputs]


def _unpack(op, number, part):
    (tensor,) = op.inputs
    axis = op.get_attr("axis") % tensor.shape.rank
    return [(tensor, Part(axis, number, number + 1))]


def _concat(op, number, part):
    *tensors, axis = op.inputs
    axis = tf.get_static_value(axis)
    if part is None or axis is None:
        return None
    axis = int(axis) % tensors[0].shape.rank
    if part.axis != axis:
        return [(tensor, part) for tensor in tensors]
    sizes = [tensor.shape[axis] for tensor in tensors]
    if None in sizes:
        return None
    found = []
    for tensor, end in zip(tensors, itertools.accumulate(sizes), strict=True):
        first = end - tensor.shape[axis]
        start, stop = max(part.start, first), min(part.stop, end)
        if start < stop:
            whole = stop - start == tensor.shape[axis]
            own = Part(axis, start - first, stop - first)
            found.append((tensor, None if whole else own))
    return found


def _split(op, number, part):
    values = [t for t in op.inputs if t.dtype.is_floating]
    axis = tf.get_static_value(op.inputs[0 if op.type == "Split" else 2])
    if axis is None or len(values) != 1:
        return None
    axis = int(axis) % values[0].shape.rank
    sizes = [output.shape[axis] for output in op.outputs]
    if None in sizes[: number + 1]:
        return None
    start = sum(sizes[:number])
    if part is None:
        return [(values[0], Part(axis, start, start + sizes[number]))]
    # Of two ranges, the one that was asked for.
    if part.axis == axis:
        part = Part(axis, start + part.start, start + part.stop)
    return [(values[0], part)]


def _strided_slice(op, number, part):
    tensor, *bounds = op.inputs
    begin, end, strides = map(tf.get_static_value, bounds)
    if begin is None or end is None or strides is None or any(strides != 1):
        return None
    found, axis, kept = None, 0, 0
    for place in _places(op, len(begin), tensor.shape.rank):
        if place == "new":
            kept += 1
            continue
        shrinks = place is not None and _has(op, "shrink_axis", place)
        start, stop = _bounds(op, place, tensor.shape[axis], begin, end)
        asked = part is not None and not shrinks and part.axis == kept
        if asked and start is None:
            return None
        if asked:  # Of several ranges, the one that was asked for.
            return [(tensor, Part(axis, start + part.start, start + part.stop))]
        if start is not None and (start, stop) != (0, tensor.shape[axis]):
            found = Part(axis, start, stop)
        kept, axis = kept + (not shrinks), axis + 1
    return [(tensor, found)]


def _places(op, number, rank):
    """Returns for each axis its place in the slice, `None` where it is whole.

    And `"new"` for each axis of length 1 that the slice adds.
    """
    new = [n for n in range(number) if _has(op, "new_axis", n)]
    dots = [n for n in range(number) if _has(op, "ellipsis", n)]
    whole = [None] * (rank - (number - len(new) - len(dots)))
    found = []
    for place in range(number):
        if place in dots:
            found += whole
            whole = []
        else:
            found.append("new" if place in new else place)
    return found + whole


def _has(op, mask, place):
    return bool(op.get_attr(f"{mask}_mask") & 1 << place)


def _bounds(op, place, size, begin, end):
    """Returns the range that a slice takes of an axis, `None` if not known."""
    if size is None:
        return None, None
    start, stop = 0, size
    if place is None:
        return start, stop
    if not _has(op, "begin", place):
        start = int(begin[place])
        start = start if start >= 0 else start + size
    if _has(op, "shrink_axis", place):
        return start, start + 1
    if not _has(op, "end", place):
        stop = int(end[place])
        stop = min(stop, size) if stop >= 0 else stop + size
    return start, stop


def _reduction(op, number, part):
    tensor, axes = op.inputs
    axes = tf.get_static_value(axes)
    if part is None or axes is None:
        return None
    rank = tensor.shape.rank
    axes = {int(axis) % rank for axis in axes.ravel()}
    if op.get_attr("keep_dims"):
        return [(tensor, None if part.axis in axes else part)]
    kept = [axis for axis in range(rank) if axis not in axes]
    return [(tensor, part._replace(axis=kept[part.axis]))]


def _transpose(op, number, part):
    tensor, order = op.inputs
    order = tf.get_static_value(order)
    if part is None or order is None:
        return None
    return [(tensor, part._replace(axis=int(order[part.axis])))]


def _reshape(op, number, part):
    """A range stays one where the axes around it do not change."""
    tensor, shape = op.inputs[0], op.outputs[0].shape
    if part is None or not tensor.shape.rank:
        return None
    after = shape[part.axis + 1 :]
    if None in after.as_list():
        return None
    inner = math.prod(after)
    # As entries of all that follows some axis of the input.
    start, stop = part.start * inner, part.stop * inner
    whole = shape[part.axis]
    if whole is None:
        return None
    total, size = whole * inner, 1
    for axis in reversed(range(tensor.shape.rank)):
        below, length = size, tensor.shape[axis]
        if length is None:
            return None
        size *= length
        if size >= total:
            break
    if size != total:
        return None
    # That axis has the outermost entries of the range.
    first, last = start // below, -(-stop // below)
    return [(tensor, Part(axis, first, last))]


_RULES = {
    "ReadVariableOp": _read,
    "BiasAdd": _bias,
    "Pack": _pack,
    "Unpack": _unpack,
    "ConcatV2": _concat,
    "Split": _split,
    "SplitV": _split,
    "StridedSlice": _strided_slice,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "ExpandDims": _reshape,
    "Squeeze": _reshape,
    **dict.fromkeys(REDUCTIONS, _reduction),
}
