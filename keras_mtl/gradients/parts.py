"""What each variable adds to the inner products of task gradients.

Nowhere stands the `(K, P)` matrix of the tasks' gradients. A layer that
multiplies rows `A (N, I)` by a matrix has the gradient `AᵀΔ_k`, where
`Δ_k (N, U)` is task k's cotangent of the products, and

    <AᵀΔ_i, AᵀΔ_j> = <Δ_i, P Δ_j>,    P = A Aᵀ = L + Lᵀ,

with `L` lower triangular: the strict lower triangle of `P` and half its
diagonal. So the Gramian is `M + Mᵀ`, `M[i, j] = <Δ_i, L Δ_j>`, for half the
operations of a product with `P`.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from keras_mtl.gradients.sparse import number_rows

# Rows that a batch of unknown size is taken to have.
USUAL_BATCH = 256
# Rows from which half the work of a triangle is worth two products.
SMALLEST_SPLIT = 128

logger = logging.getLogger("keras_mtl")


class Part(NamedTuple):
    """One variable's share of every inner product.

    Args:
        sources: List of tensors or variables to pull gradients of.
        features: Function from those gradients to a task's feature matrix.
        shape: Shape of the feature matrix.
        kernel: `Triangle` between the features of two tasks, or `None` for
            plain inner products.
    """

    sources: list
    features: Callable
    shape: tf.TensorShape
    kernel: "Triangle | None" = None


class Triangle:
    """The lower triangle `L` of `A Aᵀ`, its diagonal halved.

    The upper right quarter is not computed; finer blocks would save more
    operations, but not time.

    Args:
        rows: `(N, I)` float32 matrix `A`.
    """

    def __init__(self, rows):
        size = rows.shape[0]
        if size is None or size < SMALLEST_SPLIT:
            self._blocks = [_halved(tf.matmul(rows, rows, transpose_b=True))]
            return
        upper, lower = rows[: size // 2], rows[size // 2 :]
        square = _halved(tf.matmul(lower, lower, transpose_b=True))
        left = tf.matmul(lower, upper, transpose_b=True)
        self._blocks = [
            _halved(tf.matmul(upper, upper, transpose_b=True)),
            tf.concat([left, square], axis=1),
        ]

    def matmul(self, features):
        """Returns `L @ features` for features `(..., N, u)`."""
        products = [
            tf.matmul(block, features[..., : block.shape[1], :])
            for block in self._blocks
        ]
        return tf.concat(products, axis=-2)


def _halved(square):
    """Returns the lower triangle of a matrix, its diagonal halved."""
    half = 0.5 * tf.linalg.diag_part(square)
    return tf.linalg.set_diag(tf.linalg.band_part(square, -1, 0), half)


def product_part(uses, num_tasks) -> Part | None:
    """Returns the part of a matrix, or `None` if its gradient is cheaper.

    Args:
        uses: List of `Use` of kind `"product"`.
        num_tasks: Integer, K.
    """
    outputs = [use.output for use in uses]
    fan_in, units = uses[0].fan_in, outputs[0].shape[-1]
    sizes = {(use.fan_in, use.output.shape[-1]) for use in uses}
    if None in (fan_in, units) or len(sizes) > 1:
        return None
    num_rows = sum(_num_rows(output) for output in outputs)
    if not _crossing_is_cheaper(num_rows, fan_in, units, num_tasks):
        return None
    rows = tf.concat([use.operands() for use in uses], axis=0)
    rows = tf.cast(rows, tf.float32)

    def features(pulled):
        flat = [tf.reshape(gradient, [-1, units]) for gradient in pulled]
        return tf.cast(tf.concat(flat, axis=0), tf.float32)

    shape = tf.TensorShape([rows.shape[0], units])
    return Part(outputs, features, shape, Triangle(rows))


def _crossing_is_cheaper(num_rows, fan_in, units, num_tasks):
    """Whether products of rows take fewer operations than `AᵀΔ_k`."""
    of_rows = 0.6 * num_rows**2 * (fan_in + num_tasks * units)
    of_rows += num_tasks**2 * num_rows * units
    of_gradients = num_tasks * num_rows * fan_in * units
    of_gradients += num_tasks**2 * fan_in * units
    return of_rows < of_gradients


def lookup_part(uses, table) -> Part:
    """Returns the part of a table whose rows are looked up: kept sparse.

    Args:
        uses: List of `Use` of kind `"lookup"`.
        table: The variable.
    """
    size, *rest = table.shape
    width = int(tf.TensorShape(rest).num_elements())
    indices = [tf.cast(use.operands(), tf.int32) for use in uses]
    indices = tf.concat(indices, axis=0)
    numbers, num_rows = number_rows(indices, size)

    def features(pulled):
        flat = [tf.reshape(gradient, [-1, width]) for gradient in pulled]
        flat = tf.cast(tf.concat(flat, axis=0), tf.float32)
        return tf.math.unsorted_segment_sum(flat, numbers, num_rows)

    known = num_rows if isinstance(num_rows, int) else None
    shape = tf.TensorShape([known, width])
    return Part([use.output for use in uses], features, shape)


def whole_part(variable) -> Part:
    """Returns the part of a variable by its gradient as it is."""

    def features(pulled):
        gradient = tf.convert_to_tensor(pulled[0])
        return tf.cast(tf.reshape(gradient, [1, -1]), tf.float32)

    size = tf.TensorShape(variable.shape).num_elements()
    return Part([variable.value], features, tf.TensorShape([1, size]))


def make_parts(variables, uses, leaves, losses):
    """Returns the cheapest exact part of each of the encoder's variables.

    Args:
        variables: List of `keras.Variable`.
        uses: `Uses` of them.
        leaves: List of tensors, the representation.
        losses: `LocalLosses`.

    Returns:
        List of `Part`, and the variables that a head reads past the
        representation.
    """
    noted = {id(v): uses.of(v) for v in variables}
    outputs = [
        use.output
        for found in noted.values()
        for use in found
        if use.output is not None
    ]
    through = _reached(losses.tape.gradient(leaves, outputs), outputs)
    values = [v.value for v in variables]
    pulled = losses.tape.gradient(leaves, values)
    reached = {
        id(v)
        for v, gradient in zip(variables, pulled, strict=True)
        if gradient is not None
    }
    anyhow = _reached(losses.of_sum(outputs), outputs)
    parts, past = [], []
    for variable in variables:
        found = noted[id(variable)]
        names = {use.output.name for use in found if use.output is not None}
        if names & anyhow - through:
            past.append(variable)
        elif id(variable) in reached:
            parts.append(_make_part(variable, found, through, losses.num_tasks))
    return parts, past


def _reached(gradients, outputs):
    """Returns the names of the outputs that have a gradient."""
    pairs = zip(gradients, outputs, strict=True)
    return {output.name for gradient, output in pairs if gradient is not None}


def _make_part(variable, uses, through, num_tasks):
    """Returns the cheapest exact part of a variable.

    Uses that the representation does not depend on, a regulariser's say, are
    left out; but a product or lookup without a gradient is one whose gradient
    is hidden, as by `tf.recompute_grad`.
    """
    found = [
        use
        for use in uses
        if use.output is None
        or use.output.name in through
        or use.kind != "other"
    ]
    kinds = {use.kind for use in found}
    hidden = any(
        use.output is not None and use.output.name not in through
        for use in found
    )
    part = None
    if kinds == {"lookup"} and not hidden:
        part = lookup_part(found, variable)
    elif kinds == {"product"} and not hidden:
        part = product_part(found, num_tasks)
    elif len(variable.shape) > 1:
        logger.warning(
            "%s: no cheap form of its inner products; each task's gradient of "
            "it is computed.",
            variable.path,
        )
    return part or whole_part(variable)


def _num_rows(output):
    """Returns how many rows a product has, as far as is known."""
    first, *rest = output.shape[:-1]
    if None in rest:
        rest = [USUAL_BATCH if size is None else size for size in rest]
    count = 1
    for size in (USUAL_BATCH if first is None else first, *rest):
        count *= size
    return count


def num_elements(shape):
    """Returns how many elements a feature matrix has, as far as is known."""
    return (shape[0] or USUAL_BATCH) * shape[1]
