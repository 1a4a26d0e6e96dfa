"""How a traced forward pass uses its variables, read off the graph."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from keras_mtl.gradients.contractions import PRODUCTS, contraction

# What may stand between a variable and the operation that uses it.
VIEWS = (
    *("ReadVariableOp", "Cast", "Identity"),
    *("ExpandDims", "Squeeze", "Reshape"),
)
# The layout of a convolution's kernel.
PATCHES = ("conv",)
# Rows that a batch of unknown size is taken to have.
USUAL_BATCH = 256


class Use(NamedTuple):
    """One operation that a variable takes part in.

    Args:
        kind: `"product"` (rows times a matrix; convolutions are products of
            patches), `"lookup"` (rows of a table) or `"other"`.
        output: Tensor, what the operation returns. For `"other"`, the
            variable as it was read, or `None` if the operation reads it.
        operands: Function that returns the rows `(N, I)`, or `(E, N, I)` where
            each of E matrices multiplies rows of its own; or the `(N,)`
            indices that are looked up.
        matrix: Function from a gradient of `output` to one of the products,
            `(N, U)` or `(E, N, U)`.
        sizes: Tuple of E (`None` for one matrix), I and U.
        layout: How the variable's axes become those of matrices; gradients by
            two uses may be added up as matrices only if it is the same.
        per_row: Of a variable that is added to rows or scales them, the
            result, and a function from its gradient to that of the variable
            for each row, `(N, n)`; `None` otherwise.
        read: Tensor, the variable as it was read for this; `None` where the
            operation reads it.
    """

    kind: str
    output: tf.Tensor | None
    operands: Callable | None = None
    matrix: Callable | None = None
    sizes: tuple = ()
    layout: tuple = ()
    per_row: tuple[tf.Tensor, Callable] | None = None
    read: tf.Tensor | None = None

    @property
    def num_rows(self) -> int:
        """N, as far as it is known."""
        groups, _, units = self.sizes
        sizes = [USUAL_BATCH if n is None else n for n in self.output.shape]
        return functools.reduce(int.__mul__, sizes, 1) // (
            units * (groups or 1)
        )


class Uses:
    """Notes which operations of a forward pass use which variable.

    Make it before the forward pass, and `note` the uses after it, before any
    backward pass adds more.

    Args:
        variables: List of `keras.Variable`.
    """

    def __init__(self, variables):
        graph = tf.compat.v1.get_default_graph()
        self._handles = {
            id(v): graph.capture(v.value.handle) for v in variables
        }
        self._earlier = {
            key: {op.name for op in handle.consumers()}
            for key, handle in self._handles.items()
        }
        self._found = {}
        self.products = {}

    def note(self, leaves):
        """Notes the uses so far, and the products that `leaves` enter."""
        self._found = {
            key: [
                use
                for op in handle.consumers()
                if op.name not in self._earlier[key]
                for use in _uses(op)
            ]
            for key, handle in self._handles.items()
        }
        if len(leaves) == 1 and leaves[0].shape.rank == 2:
            self.products = _products_of(leaves[0]) or {}

    def of(self, variable) -> list[Use]:
        """Returns the uses of one of the variables."""
        return self._found[id(variable)]


def _products_of(rows) -> dict[str, tf.Operation] | None:
    """Returns the products that a tensor of rows enters, by output name.

    The second input is the matrix. `None` if anything else reads the rows.
    """
    found = {}
    for op in rows.consumers():
        if op.type in ("Cast", "Identity"):
            further = _products_of(op.outputs[0])
            if further is None:
                return None
            found |= further
        elif _multiplies(op) and op.inputs[0] is rows:
            found[op.outputs[0].name] = op
        else:
            return None
    return found


def _multiplies(op):
    """Whether `op` multiplies rows by a matrix, its second input."""
    flags = PRODUCTS.get(op.type)
    if flags is None or op.inputs[1].shape.rank != 2:
        return False
    return not any(op.get_attr(flag) for flag in flags)


def _uses(op, read=None):
    """Returns the uses of a variable by `op`, and by what views it."""
    if op.type == "ResourceGather" and not op.get_attr("batch_dims"):
        return [Use("lookup", op.outputs[0], _flat(op.inputs[1]))]
    if op.type not in VIEWS:
        return [Use("other", read)]
    (view,) = op.outputs
    read = view if op.type == "ReadVariableOp" else read
    return [
        use
        for consumer in view.consumers()
        for use in _uses_of_view(consumer, view, read)
    ]


def _uses_of_view(op, view, read):
    first = op.inputs[0] is view
    if first and op.type in VIEWS:
        return _uses(op, read)
    same = view.shape == read.shape
    if first and same and op.type == "GatherV2" and _gathers_rows(op):
        return [Use("lookup", op.outputs[0], _flat(op.inputs[1]), read=read)]
    if not first and op.type == "Conv2D" and _convolves(op):
        fan_in = int(op.inputs[1].shape[:3].num_elements())
        units = int(op.inputs[1].shape[3])
        return [
            Use(
                "product",
                op.outputs[0],
                functools.partial(_patches, op, fan_in),
                lambda gradient: tf.reshape(gradient, [-1, units]),
                (None, fan_in, units),
                PATCHES,
                read=read,
            )
        ]
    # A product of the variable with itself has no rows.
    alone = sum(tensor is view for tensor in op.inputs) == 1
    found = contraction(op, 0 if first else 1) if alone else None
    if found is not None:
        return [
            Use(
                "product",
                op.outputs[0],
                found.rows,
                found.matrix,
                found.sizes,
                (*view.shape, *found.layout),
                read=read,
            )
        ]
    return [Use("other", read, per_row=_per_row(op, view), read=read)]


def _per_row(op, view):
    """Returns `Use.per_row` of an operation entry by entry, or `None`."""
    if op.type not in ("AddV2", "Add", "BiasAdd", "Mul"):
        return None
    if op.type == "BiasAdd" and op.get_attr("data_format") != b"NHWC":
        return None
    (output,) = op.outputs
    rank, shape = output.shape.rank, view.shape
    if rank is None or not shape.is_fully_defined() or rank < 2:
        return None
    shape = [1] * (rank - shape.rank) + shape.as_list()
    if shape[0] != 1:
        return None
    summed = [axis for axis in range(1, rank) if shape[axis] == 1]
    others = [tensor for tensor in op.inputs if tensor is not view]
    size = view.shape.num_elements()

    def gradient(delta):
        if op.type == "Mul":
            delta *= others[0]
        return tf.reshape(tf.reduce_sum(delta, axis=summed), [-1, size])

    return output, gradient


def _gathers_rows(op):
    on_first_axis = tf.get_static_value(op.inputs[2]) == 0
    return on_first_axis and not op.get_attr("batch_dims")


def _convolves(op):
    images, kernel = op.inputs
    return (
        op.get_attr("data_format") == b"NHWC"
        and op.get_attr("padding") in (b"SAME", b"VALID")
        and kernel.shape.is_fully_defined()
        and images.shape[-1] == kernel.shape[2]
    )


def _flat(indices):
    return lambda: tf.reshape(indices, [-1])


def _patches(op, fan_in):
    height, width = op.inputs[1].shape[:2]
    patches = tf.image.extract_patches(
        op.inputs[0],
        sizes=[1, height, width, 1],
        strides=op.get_attr("strides"),
        rates=op.get_attr("dilations"),
        padding=op.get_attr("padding").decode(),
    )
    return tf.reshape(patches, [-1, fan_in])
