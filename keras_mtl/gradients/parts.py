"""What each variable adds to the inner products of task gradients.

Nowhere stands the `(K, P)` matrix of the tasks' gradients. A layer that
multiplies rows `A (N, I)` by a matrix has the gradient `AᵀΔ_k`, where
`Δ_k (N, U)` is task k's cotangent of the products, and

    <AᵀΔ_i, AᵀΔ_j> = <Δ_i, P Δ_j>,    P = A Aᵀ = L + Lᵀ,

with `L` lower triangular: the strict lower triangle of `P` and half its
diagonal. So the Gramian is `M + Mᵀ`, `M[i, j] = <Δ_i, L Δ_j>`, for half the
operations of a product with `P`. Between two batches with rows `A` and `B`,
it is `<Δ_i, (A Bᵀ) Δ_j>`.
"""

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from keras_mtl.gradients.sparse import Numbering
from keras_mtl.gradients.uses import PATCHES, USUAL_BATCH

logger = logging.getLogger("keras_mtl")


class Part(NamedTuple):
    """One variable's share of every inner product.

    Args:
        variable: `keras.Variable`.
        sources: List of tensors or variables to pull gradients of.
        features: Function from those gradients to a task's features.
        shape: Shape of the features: `(N, U)`, or `(E, N, U)` for E matrices
            that multiply rows of their own.
        rows: `(N, I)` or `(E, N, I)`, what the matrix multiplies; `None` where
            inner products are those of features.
        layout: That of the products, or `None`.
        numbering: `Numbering` of the rows of a table, or `None`.
    """

    variable: Any
    sources: list
    features: Callable
    shape: tf.TensorShape
    rows: tf.Tensor | None = None
    layout: tuple | None = None
    numbering: Numbering | None = None

    @property
    def num_elements(self) -> int:
        """The number of features, as far as it is known."""
        *groups, rows, width = self.shape
        rows = USUAL_BATCH if rows is None else rows
        return int(tf.TensorShape([*groups, rows, width]).num_elements())

    def gradient(self, features):
        """Returns the variable's gradient that has these features."""
        variable = self.variable
        if self.rows is not None:
            return of_product(variable, self.layout, self.rows, features)
        features = tf.cast(features, variable.dtype)
        if self.numbering is None or self.numbering.is_direct:
            return tf.reshape(features, variable.shape)
        shape = tf.constant(list(variable.shape))
        values = tf.reshape(features, [-1, *variable.shape[1:]])
        return tf.IndexedSlices(values, self.numbering.rows(), shape)


def of_product(variable, layout, rows, deltas):
    """Returns the gradient of a matrix, from what its products have.

    Args:
        variable: The variable.
        layout: That of its uses.
        rows: `(N, I)` or `(E, N, I)`, what the matrix multiplies.
        deltas: `(N, U)` or `(E, N, U)`, the gradient of the products.
    """
    gradient = tf.matmul(rows, deltas, transpose_a=True)
    if layout != PATCHES:  # Which are in order.
        rank = len(layout) // 2 - 1
        shape, order = layout[:rank], layout[rank : 2 * rank]
        gradient = tf.reshape(gradient, [shape[axis] for axis in order])
        gradient = tf.transpose(gradient, np.argsort(order))
    return tf.cast(tf.reshape(gradient, variable.shape), variable.dtype)


def product_part(variable, uses) -> Part:
    """Returns the part of a matrix.

    Args:
        variable: The variable.
        uses: List of `Use` of kind `"product"`, of one layout.
    """
    rows = tf.concat([use.operands() for use in uses], axis=-2)
    rows = tf.cast(rows, tf.float32)

    def features(pulled):
        pairs = zip(uses, pulled, strict=True)
        flat = [use.matrix(gradient) for use, gradient in pairs]
        return tf.cast(tf.concat(flat, axis=-2), tf.float32)

    groups, _, units = uses[0].sizes
    shape = [*([groups] if groups else []), rows.shape[-2], units]
    outputs = [use.output for use in uses]
    shape, layout = tf.TensorShape(shape), uses[0].layout
    return Part(variable, outputs, features, shape, rows, layout)


def crossing_is_cheaper(uses, num_tasks, between_batches) -> bool:
    """Whether products of rows take fewer operations than `AᵀΔ_k`.

    Args:
        uses: List of `Use` of kind `"product"`, of one layout.
        num_tasks: Integer, K.
        between_batches: Boolean. Whether the products are those of two
            batches alike in size, so that nothing is symmetric.
    """
    _, fan_in, units = uses[0].sizes
    num_rows = sum(use.num_rows for use in uses)
    share = 1.0 if between_batches else 0.6
    of_rows = share * num_rows**2 * (fan_in + num_tasks * units)
    of_rows += num_tasks**2 * num_rows * units
    batches = 2 if between_batches else 1
    of_gradients = batches * num_tasks * num_rows * fan_in * units
    of_gradients += num_tasks**2 * fan_in * units
    return of_rows < of_gradients


def lookup_part(variable, uses, numbering=None) -> Part:
    """Returns the part of a table whose rows are looked up: kept sparse.

    Args:
        variable: The table.
        uses: List of `Use` of kind `"lookup"`.
        numbering: `Numbering` of another batch, whose rows alone count.
    """
    size, *rest = variable.shape
    width = int(tf.TensorShape(rest).num_elements())
    indices = [tf.cast(use.operands(), tf.int32) for use in uses]
    indices = tf.concat(indices, axis=0)
    if numbering is None:
        numbering = Numbering(indices, size)
        numbers = numbering.numbers
    else:
        numbers = numbering.of(indices)

    def features(pulled):
        flat = [tf.reshape(gradient, [-1, width]) for gradient in pulled]
        flat = tf.cast(tf.concat(flat, axis=0), tf.float32)
        return tf.math.unsorted_segment_sum(flat, numbers, numbering.size)

    known = numbering.size if isinstance(numbering.size, int) else None
    return Part(
        variable,
        [use.output for use in uses],
        features,
        tf.TensorShape([known, width]),
        numbering=numbering,
    )


def whole_part(variable) -> Part:
    """Returns the part of a variable by its gradient as it is."""

    def features(pulled):
        gradient = tf.convert_to_tensor(pulled[0])
        return tf.cast(tf.reshape(gradient, [1, -1]), tf.float32)

    size = tf.TensorShape(variable.shape).num_elements()
    shape = tf.TensorShape([1, size])
    return Part(variable, [variable.value], features, shape)


def summed_part(variable, uses) -> Part:
    """Returns the part of a variable by the sum of its uses' gradients.

    Args:
        variable: The variable.
        uses: List of `Use`, each of a reading of its own.
    """
    uses = [*{use.output.name: use for use in uses}.values()]
    shape = tf.TensorShape(variable.shape)

    def features(pulled):
        pairs = zip(uses, pulled, strict=True)
        found = [_gradient_by_use(variable, *pair) for pair in pairs]
        return tf.reshape(tf.add_n(found), [1, -1])

    whole = tf.TensorShape([1, shape.num_elements()])
    return Part(variable, [use.output for use in uses], features, whole)


def _gradient_by_use(variable, use, pulled):
    pulled = tf.convert_to_tensor(pulled)
    if use.kind == "product":
        rows = tf.cast(use.operands(), tf.float32)
        deltas = tf.cast(use.matrix(pulled), tf.float32)
        pulled = of_product(variable, use.layout, rows, deltas)
    elif use.kind == "lookup":
        size, *rest = variable.shape
        values = tf.reshape(pulled, [-1, *rest])
        indices = tf.cast(use.operands(), tf.int32)
        pulled = tf.math.unsorted_segment_sum(values, indices, size)
    return tf.reshape(tf.cast(pulled, tf.float32), variable.shape)


def make_parts(candidates, num_tasks, between_batches) -> list[Part | None]:
    """Returns the cheapest exact part of each variable.

    Args:
        candidates: List of `Candidate`.
        num_tasks: Integer, K.
        between_batches: Boolean, whether inner products with another batch
            are asked for.

    Returns:
        List of `Part`, `None` for a variable whose gradients are to be
        computed task by task.
    """
    return [
        _cheapest(candidate, num_tasks, between_batches)
        for candidate in candidates
    ]


def matching_parts(candidates, others) -> list[Part | None]:
    """Returns the parts that match those of another batch.

    Args:
        candidates: List of `Candidate`.
        others: List of `Part`, those of the other batch.
    """
    by_variable = {id(part.variable): part for part in others}
    return [
        _matching(candidate, by_variable.get(id(candidate.variable)))
        for candidate in candidates
    ]


def _cheapest(candidate, num_tasks, between_batches):
    variable, uses = candidate.variable, candidate.uses
    if candidate.kind == "lookup":
        return lookup_part(variable, uses)
    if candidate.kind == "product":
        if crossing_is_cheaper(uses, num_tasks, between_batches):
            return product_part(variable, uses)
    elif (
        len(variable.shape) > 1
        and any(u.per_row is None for u in uses)
        and not (candidate.is_above and candidate.is_summable)
    ):
        logger.warning(
            "%s: no cheap form of its inner products; each task's gradient of "
            "it is computed.",
            variable.path,
        )
    return _by_gradients(candidate)


def _by_gradients(candidate):
    if not candidate.is_above:
        return whole_part(candidate.variable)
    if candidate.is_summable:
        return summed_part(candidate.variable, candidate.uses)
    return None


def _matching(candidate, other):
    if other is None:
        return None
    variable, uses = candidate.variable, candidate.uses
    if other.numbering is not None:
        alike = candidate.kind == "lookup"
        return lookup_part(variable, uses, other.numbering) if alike else None
    if other.rows is not None:
        alike = candidate.kind == "product" and uses[0].layout == other.layout
        return product_part(variable, uses) if alike else None
    return _by_gradients(candidate)
