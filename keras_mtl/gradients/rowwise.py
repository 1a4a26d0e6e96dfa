"""The Gramian over an encoder's variables, where rows belong to one task.

The gradient of a row's loss is that of its task, so one backward pass of the
sum has all tasks' cotangents `Δ`. A layer that multiplies rows `A (N, I)` by a
matrix has, with `t(n)` the task of row n, the inner products

    G[i, j] = Σ_{t(n) = i, t(m) = j} (A Aᵀ ∘ Δ Δᵀ)[n, m],

or those of each task's gradient, `Σ_{t(n) = i} A_n ⊗ Δ_n`, where that is
cheaper. Tasks are never looped over.
"""

import math

import tensorflow as tf

from keras_mtl.gradients.row_parts import row_parts
from keras_mtl.gradients.sparse import Numbering
from keras_mtl.gradients.uses import USUAL_BATCH

# Bytes that one tensor of all tasks' or all rows' gradients may take.
LARGEST = 2**28
# Columns up to which rows are summed by a product: compiled, it is faster.
NARROW = 2**10


def rowwise_gradients(variables, uses, leaves, losses):
    """Returns `RowwiseGradients`, or `None` where rows are not apart.

    Args:
        variables: List of the encoder's variables.
        uses: `Uses` of them.
        leaves: List of tensors, the representation.
        losses: `LocalLosses`.
    """
    owners = losses.owners
    if owners is None or owners.axis != 0:
        return None
    parts = row_parts(variables, uses, leaves, losses)
    if not parts:
        return None
    return RowwiseGradients(parts, owners.tasks, losses.num_tasks)


class RowwiseGradients:
    """Inner products of the tasks' gradients of the encoder's variables.

    Args:
        parts: List of `RowPart`.
        tasks: `(B,)` int32, the task of each row.
        num_tasks: Integer, K.
    """

    def __init__(self, parts, tasks, num_tasks):
        self.parts, self._tasks = parts, tasks
        self._num_tasks = num_tasks

    def keep(self):
        """Computes nothing: one pass has given all that is needed."""

    def gramian(self):
        """Returns the `(K, K)` inner products."""
        return self.products_with(self)

    def products_with(self, other):
        """Returns the `(K, K)` inner products with those of another batch.

        Args:
            other: `RowwiseGradients`, whose tasks are the columns.
        """
        return tf.add_n(self._shares_with(other))

    def shares(self):
        """Returns the `(parts, K, K)` inner products of each part."""
        return tf.stack(self._shares_with(self))

    def combined(self, weights):
        """Returns `{id(variable): gradient}`, the tasks' weighted sums.

        Args:
            weights: List of `(K,)` tensors, one for each part.
        """
        found = {}
        for part, of_task in zip(self.parts, weights, strict=True):
            factors = tf.gather(of_task, self._repeated(part.deltas))
            scaled = factors[:, None] * part.deltas
            found[id(part.variable)] = part.gradient(scaled)
        return found

    def _shares_with(self, other):
        shares = []
        for mine, theirs in zip(self.parts, other.parts, strict=True):
            if mine.kind == "lookup":
                share = self._of_lookups(mine, theirs, other)
            elif mine.kind == "product" and self._crosses(mine, theirs):
                rows = tf.matmul(mine.rows, theirs.rows, transpose_b=True)
                rows *= tf.matmul(mine.deltas, theirs.deltas, transpose_b=True)
                share = self._sum_both(rows, other)
            else:
                left = self._gradients(mine)
                right = left if self is other else other._gradients(theirs)
                share = tf.matmul(left, right, transpose_b=True)
            shares.append(share)
        return shares

    def squared_norms(self):
        """Returns the `(K,)` squared norms."""
        total = tf.zeros(self._num_tasks)
        for part in self.parts:
            if part.kind == "lookup" or self._crosses(part, part, norms=True):
                alone = RowwiseGradients([part], self._tasks, self._num_tasks)
                total += tf.linalg.diag_part(alone.gramian())
            else:
                total += tf.reduce_sum(self._gradients(part) ** 2, axis=1)
        return total

    def _crosses(self, mine, theirs, norms=False):
        """Whether products of rows take fewer operations, or fit alone."""
        if mine.kind != "product":
            return False
        width = int(mine.rows.shape[1]) * int(mine.deltas.shape[1])
        both = int(mine.rows.shape[1]) + int(mine.deltas.shape[1]) + 2
        sizes = [part.deltas.shape[0] or USUAL_BATCH for part in (mine, theirs)]
        batch = self._tasks.shape[0] or USUAL_BATCH
        if 4 * batch * width > LARGEST:
            return True
        pairs = self._num_tasks if norms else self._num_tasks**2
        of_gradients = 2 * sum(sizes) * width + pairs * width
        return math.prod(sizes) * both < of_gradients

    def _gradients(self, part):
        """Returns each task's gradient, `(K, n)`."""
        deltas = part.deltas
        if part.kind == "product":
            batch = tf.size(self._tasks)
            rows, deltas = (
                tf.reshape(tensor, [batch, -1, tensor.shape[1]])
                for tensor in (part.rows, part.deltas)
            )
            width = int(part.rows.shape[1]) * int(part.deltas.shape[1])
            deltas = tf.matmul(rows, deltas, transpose_a=True)
            deltas = tf.reshape(deltas, [-1, width])
        return self._sum(deltas, self._repeated(deltas))

    def _of_lookups(self, mine, theirs, other):
        """Returns the inner products of a table's gradients, kept sparse."""
        width = int(mine.deltas.shape[1])
        table = mine.rows.table
        both = [mine.rows.indices, theirs.rows.indices]
        numbering = Numbering(tf.concat(both, axis=0), table)
        size = numbering.size
        mine_numbers, other_numbers = tf.split(
            numbering.numbers, [tf.size(indices) for indices in both]
        )
        known = size if isinstance(size, int) else USUAL_BATCH
        number = max(1, -(-4 * self._num_tasks * known * width // LARGEST))
        step = max(1, width // number)

        def of(part, numbers, side, start):
            keys = side._repeated(numbers) * size + numbers
            values = part.deltas[:, start : start + step]
            summed = tf.math.unsorted_segment_sum(
                values, keys, self._num_tasks * size
            )
            return tf.reshape(summed, [self._num_tasks, -1])

        total = tf.zeros((self._num_tasks,) * 2)
        for start in range(0, width, step):
            left = of(mine, mine_numbers, self, start)
            right = of(theirs, other_numbers, other, start)
            total += tf.matmul(left, right, transpose_b=True)
        return total

    def _sum_both(self, products, other):
        """Returns `(K, K)` sums of `(N, M)` products of rows."""
        mine = self._sum(products, self._repeated(products))
        columns = tf.transpose(mine)
        return tf.transpose(other._sum(columns, other._repeated(columns)))

    def _repeated(self, rows):
        """Returns the task of each of N rows, a multiple of the batch."""
        if rows.shape[0] is not None and rows.shape[0] == self._tasks.shape[0]:
            return self._tasks
        number = tf.shape(rows)[0] // tf.maximum(tf.size(self._tasks), 1)
        repeated = tf.repeat(self._tasks[:, None], number, axis=1)
        return tf.reshape(repeated, [-1])

    def _sum(self, values, tasks):
        """Returns the sums `(K, n)` of rows `(N, n)` by task."""
        if (values.shape[1] or USUAL_BATCH) <= NARROW:
            mine = tf.one_hot(tasks, self._num_tasks, dtype=values.dtype)
            return tf.matmul(mine, values, transpose_a=True)
        return tf.math.unsorted_segment_sum(values, tasks, self._num_tasks)
