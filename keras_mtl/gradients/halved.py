"""Inner products between two halves of a batch, from one pass per task.

Where rows never meet, a row of task k's cotangents is that of the half that
the row is in. So one backward pass for each task serves both halves, and a
layer that multiplies rows `A` has `<Δ_i, (A Bᵀ) Δ_j>`, with the even rows of
`A` and `Δ_i`, and the odd ones as `B` and of `Δ_j`: a quarter of the products.
"""

import keras
import tensorflow as tf

from keras_mtl.gradients.candidates import candidates
from keras_mtl.gradients.layerwise import CHUNK_BYTES, LayerwiseGradients
from keras_mtl.gradients.parts import Part
from keras_mtl.gradients.row_order import has_rows, rows_stay_apart
from keras_mtl.gradients.sparse import Numbering
from keras_mtl.gradients.triangle import crossed
from keras_mtl.tasks.loss_values import is_by_row

PARITIES = (0, 1)


def rows_never_meet(losses, outputs) -> bool:
    """Whether each row's loss is one of this row alone.

    Args:
        losses: `TaskLosses` or `StackedLosses`.
        outputs: Predictions, nested.
    """
    flat = [o for o in keras.tree.flatten(outputs) if o is not None]
    kept = keras.tree.flatten(losses.loss)
    by_row = all(loss is None or is_by_row(loss) for loss in kept)
    return by_row and rows_stay_apart(flat)


def halved_products(variables, own, uses, losses, passes):
    """Returns the `(K, K)` inner products, or `None` without a cheap form.

    Args:
        variables: List of `keras.Variable`.
        own: Set of `id(variable)` of those that serve one task only.
        uses: `Uses`.
        losses: `LocalLosses` of the whole batch.
        passes: Pair of what `representation_pass` returned for the even and
            for the odd rows.
    """
    even, odd = passes
    leaves, num_tasks = even.leaves, losses.num_tasks
    shared = [v for v in variables if id(v) not in own]
    found, _ = candidates(shared, uses, leaves, losses)
    batch = leaves[0].shape[0]
    batch = tf.shape(leaves[0])[0] if batch is None else batch
    parts = [_both(candidate, num_tasks, batch) for candidate in found]
    if None in parts:
        return None
    total = tf.zeros((num_tasks,) * 2)
    if len(shared) < len(variables):
        total += tf.linalg.diag(even.heads.products(odd.heads))
    if not parts:
        return total
    of_both = [part for side in zip(*parts, strict=True) for part in side]
    if 4 * num_tasks * sum(p.num_elements for p in of_both) > CHUNK_BYTES:
        return None
    pairs = zip(even.stacked, odd.stacked, strict=True)
    cotangents = [ours + theirs for ours, theirs in pairs]
    halved = HalvedGradients(losses.tape, leaves, of_both, cotangents, {})
    return total + halved.products()


class HalvedGradients(LayerwiseGradients):
    """The tasks' gradients on the even rows, and on the odd ones.

    Its parts are those of the even rows, and then, in the same order, those of
    the odd ones.
    """

    def products(self):
        """Returns the `(K, K)` inner products; rows are of the even half."""
        count = len(self.parts) // 2
        self._keep_widths()
        arrays = self._stacked_features(self._cotangents)
        total = tf.zeros((self._num_tasks,) * 2)
        for n in range(count):
            m = n + count
            rows, others = self.parts[n].rows, self.parts[m].rows
            total = crossed(total, rows, others, arrays[n], arrays[m])
        return total


def _both(candidate, num_tasks, batch):
    """Returns the parts of both halves, or `None` if there are none."""
    uses = candidate.uses
    make = {"product": _product, "lookup": _lookup, None: _sum}[candidate.kind]
    outputs = [use.per_row[0] if use.per_row else use.output for use in uses]
    if candidate.is_above or not all(
        output is not None and has_rows(output) for output in outputs
    ):
        return None
    return make(candidate.variable, uses, num_tasks, batch)


def _product(variable, uses, num_tasks, batch):
    groups, fan_in, units = uses[0].sizes
    if groups is not None:
        return None
    rows = [tf.cast(use.operands(), tf.float32) for use in uses]
    outputs = [use.output for use in uses]

    def side(parity):
        mine = tf.concat([_side(r, parity, batch) for r in rows], axis=0)

        def deltas(pulled):
            pairs = zip(uses, pulled, strict=True)
            flat = [
                _side(tf.cast(use.matrix(g), tf.float32), parity, batch)
                for use, g in pairs
            ]
            return tf.concat(flat, axis=0)

        if _crosses(uses, num_tasks):
            shape = tf.TensorShape([mine.shape[0], units])
            return Part(variable, outputs, deltas, shape, mine)
        shape = tf.TensorShape([1, fan_in * units])

        def features(pulled):
            product = tf.matmul(mine, deltas(pulled), transpose_a=True)
            return tf.reshape(product, [1, fan_in * units])

        return Part(variable, outputs, features, shape)

    return [side(parity) for parity in PARITIES]


def _crosses(uses, num_tasks):
    """Whether products of rows take fewer operations than gradients."""
    _, fan_in, units = uses[0].sizes
    half = sum(use.num_rows for use in uses) // 2
    of_rows = half**2 * (fan_in + num_tasks * units)
    of_rows += num_tasks**2 * half * units
    of_gradients = 2 * half * num_tasks * fan_in * units
    return of_rows < of_gradients + num_tasks**2 * fan_in * units


def _lookup(variable, uses, num_tasks, batch):
    del num_tasks
    size, *rest = variable.shape
    width = tf.TensorShape(rest).num_elements()
    indices = [tf.cast(use.operands(), tf.int32) for use in uses]
    numbering = Numbering(tf.concat(indices, axis=0), size)
    numbers = tf.split(numbering.numbers, [tf.size(i) for i in indices])
    known = numbering.size if isinstance(numbering.size, int) else None

    def side(parity):
        mine = [_side(n[:, None], parity, batch)[:, 0] for n in numbers]

        def features(pulled):
            flat = [
                _side(
                    tf.reshape(tf.cast(g, tf.float32), [-1, width]),
                    parity,
                    batch,
                )
                for g in pulled
            ]
            return tf.math.unsorted_segment_sum(
                tf.concat(flat, 0), tf.concat(mine, 0), numbering.size
            )

        outputs = [use.output for use in uses]
        return Part(variable, outputs, features, tf.TensorShape([known, width]))

    return [side(parity) for parity in PARITIES]


def _sum(variable, uses, num_tasks, batch):
    del num_tasks
    if any(use.per_row is None for use in uses):
        return None
    outputs = [use.per_row[0] for use in uses]
    size = tf.TensorShape(variable.shape).num_elements()

    def side(parity):
        def features(pulled):
            of_rows = [
                _side(
                    tf.cast(use.per_row[1](gradient), tf.float32),
                    parity,
                    batch,
                )
                for use, gradient in zip(uses, pulled, strict=True)
                if gradient is not None
            ]
            sums = [tf.reduce_sum(rows, 0) for rows in of_rows]
            return tf.reshape(tf.add_n([tf.zeros(size), *sums]), [1, size])

        return Part(variable, outputs, features, tf.TensorShape([1, size]))

    return [side(parity) for parity in PARITIES]


def _side(rows, parity, batch):
    """Returns the rows `(N, n)` of every second row of the batch.

    Of an odd one, the odd rows end with zeros.
    """
    width = rows.shape[-1]
    positions = rows.shape[0] // batch if _is_known(rows, batch) else -1
    of_row = tf.reshape(rows, [batch, positions, width])
    if not isinstance(batch, int) or batch % 2:
        of_row = tf.pad(of_row, [[0, batch % 2], [0, 0], [0, 0]])
    # In pairs: to slice with a stride would take longer than a product.
    half = (batch + 1) // 2
    pairs = tf.reshape(of_row, [half, 2, positions, width])
    return tf.reshape(pairs[:, parity], [-1, width])


def _is_known(rows, batch):
    return isinstance(batch, int) and rows.shape[0] is not None
