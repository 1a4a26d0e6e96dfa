"""Gradients at a representation whose parts one task alone reads."""

import numpy as np
import tensorflow as tf


class OwnedGradients:
    """Each task's gradient at the representation, all from one pass.

    Rows that belong to one task each, or a representation `(B, K, D)`: the
    gradient of the tasks' sum is that of the task which reads the part.

    Args:
        leaves: List of tensors, the representation.
        deltas: List of their gradients of the sum of all tasks.
        losses: `LocalLosses`, for its owners.
        heads: `HeadGradients`.
    """

    def __init__(self, leaves, deltas, losses, heads):
        self.leaves, self.heads = leaves, heads
        self._owned = [
            OwnedLeaf(leaf, delta, losses.owners, losses.num_tasks)
            for leaf, delta in zip(leaves, deltas, strict=True)
        ]

    def squared_norms(self):
        """Returns the `(K,)` squared norms on this replica."""
        return tf.add_n([leaf.squared_norms() for leaf in self._owned])

    def gramian(self):
        """Returns the `(K, K)` inner products on this replica: diagonal."""
        return tf.linalg.diag(self.squared_norms())

    def combined(self, coefficients):
        """Returns the sum of the tasks' gradients with these coefficients."""
        return [leaf.combined(coefficients) for leaf in self._owned]

    @property
    def stacked(self):
        """List of `(K, ...)` tensors, each task's gradient of each leaf."""
        return [leaf.stacked for leaf in self._owned]


class OwnedLeaf:
    """The tasks' gradients of one tensor of which each reads a part.

    Args:
        leaf: Tensor.
        delta: Gradient of the sum of all tasks, or `None`.
        owners: `Owners` of its parts, whose axis is `None` where one task
            reads all of it.
        num_tasks: Integer, K.
    """

    def __init__(self, leaf, delta, owners, num_tasks):
        self._delta = tf.zeros_like(leaf) if delta is None else delta
        (self._tasks, self._axis), self._num_tasks = owners, num_tasks
        # Which is the usual case, and takes no scatter.
        self._in_order = isinstance(self._tasks, np.ndarray) and np.array_equal(
            self._tasks, np.arange(num_tasks)
        )

    def squared_norms(self):
        """Returns the `(K,)` squared norms on this replica."""
        rank, axis = self._delta.shape.rank, self._axis
        squares = tf.reduce_sum(
            tf.cast(self._delta, tf.float32) ** 2,
            [a for a in range(rank) if a != axis],
        )
        if axis is None:
            squares = squares[None]
        if self._in_order:
            return squares
        return tf.math.unsorted_segment_sum(
            squares, self._tasks, self._num_tasks
        )

    def gramian(self):
        """Returns the `(K, K)` inner products on this replica: diagonal."""
        return tf.linalg.diag(self.squared_norms())

    def combined(self, coefficients):
        """Returns the sum of the tasks' gradients with these coefficients."""
        # A weight may leave the range of float16 where its product does not.
        if not self._in_order:
            coefficients = tf.gather(coefficients, self._tasks)
        factors = self._along(coefficients)
        return tf.cast(
            tf.cast(self._delta, tf.float32) * factors, self._delta.dtype
        )

    @property
    def stacked(self):
        """`(K, ...)` tensor, each task's gradient."""
        mine = tf.range(self._num_tasks)[:, None] == self._tasks
        return tf.where(
            self._along(mine, self._num_tasks),
            self._delta,
            tf.zeros_like(self._delta),
        )

    def _along(self, values, *first):
        """Returns values with axes of 1, to broadcast along that of owners."""
        axis, rank = self._axis or 0, self._delta.shape.rank
        after = max(rank - axis - 1, 0)
        return tf.reshape(values, [*first, *[1] * axis, -1, *[1] * after])
