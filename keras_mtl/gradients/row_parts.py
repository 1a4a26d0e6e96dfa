"""What each variable adds to the gradient of every row of a batch."""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_mtl.gradients.parts import of_product
from keras_mtl.gradients.row_order import has_rows, rows_stay_apart


class RowPart(NamedTuple):
    """What one variable adds to the inner products.

    Args:
        kind: `"product"`, `"lookup"` or `"sum"`.
        rows: `(N, I)` float32 rows, or a `Lookup`; `None` of a sum.
        deltas: `(N, U)` float32 cotangents, `N` a multiple of the batch; of a
            sum `(N, n)`, each row's gradient.
        variable: `keras.Variable`.
        layout: That of a product.
    """

    kind: str
    rows: Any
    deltas: tf.Tensor
    variable: Any
    layout: tuple = ()

    def gradient(self, deltas):
        """Returns the variable's gradient where these are the cotangents."""
        variable = self.variable
        if self.kind == "product":
            return of_product(variable, self.layout, self.rows, deltas)
        deltas = tf.cast(deltas, variable.dtype)
        if self.kind == "sum":
            return tf.reshape(tf.reduce_sum(deltas, 0), variable.shape)
        shape = tf.constant(list(variable.shape))
        values = tf.reshape(deltas, [-1, *variable.shape[1:]])
        return tf.IndexedSlices(values, self.rows.indices, shape)


class Lookup(NamedTuple):
    """Rows of a table that were looked up.

    Args:
        indices: `(N,)` int32.
        table: Integer, the number of rows of the table.
    """

    indices: tf.Tensor
    table: int


def row_parts(variables, uses, leaves, losses) -> list[RowPart] | None:
    """Returns what each variable adds, or `None` if rows may not be apart.

    A variable that no task's loss reaches adds nothing.

    Args:
        variables: List of the encoder's variables.
        uses: `Uses` of them.
        leaves: List of tensors, the representation.
        losses: `LocalLosses`.
    """
    if not rows_stay_apart(leaves):
        return None
    noted = [uses.of(v) for v in variables]
    flat = [use for found in noted for use in found]
    sources = [u.per_row[0] if u.per_row else u.output for u in flat]
    if any(source is None for source in sources):
        return None
    pulled = losses.of_sum([*sources, *(v.value for v in variables)])
    deltas, values = iter(pulled[: len(flat)]), pulled[len(flat) :]
    parts = []
    for variable, found, value in zip(variables, noted, values, strict=True):
        reached = [(use, next(deltas)) for use in found]
        if value is None:
            continue
        hidden = any(d is None for u, d in reached if u.kind != "other")
        reached = [(u, d) for u, d in reached if d is not None]
        part = None if hidden else _row_part(variable, reached)
        if part is None:
            return None
        parts.append(part)
    return parts


def _row_part(variable, reached):
    kinds = {use.kind for use, _ in reached}
    if len(kinds) != 1 or len(reached) > 1:
        return None
    ((use, delta),) = reached
    if not has_rows(use.per_row[0] if use.per_row else use.output):
        return None
    delta = tf.convert_to_tensor(delta)
    if use.kind == "other":
        if use.per_row is None:
            return None
        deltas = tf.cast(use.per_row[1](delta), tf.float32)
        return RowPart("sum", None, deltas, variable)
    if use.kind == "lookup":
        width = int(tf.TensorShape(variable.shape[1:]).num_elements())
        indices = tf.cast(use.operands(), tf.int32)
        deltas = tf.cast(tf.reshape(delta, [-1, width]), tf.float32)
        rows = Lookup(indices, int(variable.shape[0]))
        return RowPart("lookup", rows, deltas, variable)
    groups, *sizes = use.sizes
    if groups is not None or None in sizes:
        return None
    rows, deltas = (
        tf.cast(tensor, tf.float32)
        for tensor in (use.operands(), use.matrix(delta))
    )
    return RowPart("product", rows, deltas, variable, use.layout)
