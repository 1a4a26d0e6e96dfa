"""Products of a matrix, or of several side by side, as rows times matrices.

`MatMul`, `BatchMatMulV2` and `Einsum` of two tensors, one of them the matrix,
are told by one notation. A label of the matrix is that of

- a group, if rows and result have it too: each group is a product of its own;
- the inputs, if the rows have it and the result has not;
- the units, if the result has it and the rows have not.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

PRODUCTS = {
    "MatMul": ("transpose_a", "transpose_b"),
    "BatchMatMulV2": ("adj_x", "adj_y"),
}


class Contraction(NamedTuple):
    """A product of rows with a matrix, or with E matrices side by side.

    Args:
        sizes: Tuple of E (`None` for one matrix), inputs I and units U.
        rows: Function that returns the rows, `(N, I)` or `(E, N, I)`.
        matrix: Function from a gradient of the result to that of the products,
            `(N, U)` or `(E, N, U)`.
        layout: Tuple, how the axes of the second operand become E, I and U.
    """

    sizes: tuple
    rows: Callable
    matrix: Callable
    layout: tuple


def contraction(op, index) -> Contraction | None:
    """Returns the product by the input `index`, or `None` if it is no such.

    Args:
        op: `tf.Operation`.
        index: 0 or 1, which input is the matrix.
    """
    labels = labels_of(op)
    if labels is None:
        return None
    left, right, result = labels
    ours, theirs = (left, right) if index == 0 else (right, left)
    shape = op.inputs[index].shape
    groups = [x for x in ours if x in theirs and x in result]
    inputs = [x for x in ours if x in theirs and x not in result]
    units = [x for x in ours if x not in theirs and x in result]
    rows = [x for x in theirs if x not in ours]
    sizes = dict(zip(ours, shape, strict=True))
    known = None not in sizes.values()
    whole = len(groups) + len(inputs) + len(units) == len(ours)
    if not (known and whole and inputs and units):
        return None
    if any(x not in result for x in rows):
        return None
    others = dict(zip(theirs, op.inputs[1 - index].shape, strict=True))
    if any(others[x] != sizes[x] for x in (*groups, *inputs)):
        return None  # Stretched along an axis of length 1.
    counts = [
        tf.TensorShape([sizes[x] for x in part]).num_elements()
        for part in (groups, inputs, units)
    ]
    operand = op.inputs[1 - index]
    return Contraction(
        sizes=(counts[0] if groups else None, *counts[1:]),
        rows=lambda: _arranged(
            operand, theirs, (groups, rows, inputs), counts[0], counts[1]
        ),
        matrix=lambda gradient: _arranged(
            gradient, result, (groups, rows, units), counts[0], counts[2]
        ),
        layout=(
            *(ours.index(x) for x in (*groups, *inputs, *units)),
            *(len(groups), len(inputs)),
        ),
    )


def labels_of(op):
    """Returns the labels of both inputs and of the result, or `None`."""
    if op.type == "Einsum":
        if len(op.inputs) != 2:
            return None
        equation = op.get_attr("equation").decode()
        terms = _terms(equation, op.inputs)
        repeated = any(len(set(term)) < len(term) for term in terms)
        return None if "." in "".join(terms) or repeated else terms
    if op.type not in PRODUCTS:
        return None
    first, second = (tensor.shape.rank for tensor in op.inputs)
    if None in (first, second):
        return None
    batch = "abcdefgh"[: max(first, second) - 2]
    left = batch[len(batch) - first + 2 :]
    right = batch[len(batch) - second + 2 :]
    flip_a, flip_b = (op.get_attr(flag) for flag in PRODUCTS[op.type])
    return (
        left + ("yx" if flip_a else "xy"),
        right + ("zy" if flip_b else "yz"),
        batch + "xz",
    )


def _terms(equation, operands):
    """Returns the labels of both inputs and of the result.

    Those of an ellipsis are given letters where one input alone has it.
    """
    inputs, result = equation.split("->")
    terms = [*inputs.split(","), result]
    given = [n for n, term in enumerate(terms[:2]) if "..." in term]
    if len(given) != 1 or operands[given[0]].shape.rank is None:
        return terms
    rank = operands[given[0]].shape.rank - len(terms[given[0]]) + 3
    free = [x for x in "zyxwvutsrqponm" if x not in equation]
    return [term.replace("...", "".join(free[:rank])) for term in terms]


def _arranged(tensor, labels, parts, groups, width):
    """Returns a tensor with its axes in order, as `(E, N, width)`."""
    order = [labels.index(label) for part in parts for label in part]
    if order != list(range(len(order))):
        tensor = tf.transpose(tensor, order)
    return tf.reshape(tensor, [*([groups] if parts[0] else []), -1, width])
