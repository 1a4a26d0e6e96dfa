"""The gradients of variables that serve one task each."""

import tensorflow as tf

from keras_mtl.gradients.sums import inner_products, weighted_sum


class HeadGradients:
    """What one pass over all heads leaves at their variables.

    Args:
        by_head: List of K dicts from `id(variable)` to the gradient of a
            variable that serves this task only; or of one dict, of variables
            that hold a slice for each task: the last axis, or of three axes
            the first, goes through the tasks.
        num_tasks: Integer, K.
    """

    def __init__(self, by_head, num_tasks):
        self._stacked = len(by_head) != num_tasks
        self._by_head, self._num_tasks = by_head, num_tasks

    def scaled(self, coefficients):
        """Returns `{id(variable): gradient}`, each times its task's factor."""
        if self._stacked:
            return {
                key: None if g is None else _times(g, coefficients)
                for gradients in self._by_head
                for key, g in gradients.items()
            }
        return {
            key: weighted_sum([gradient], [coefficient])
            for gradients, coefficient in zip(
                self._by_head, tf.unstack(coefficients), strict=True
            )
            for key, gradient in gradients.items()
        }

    def products(self, other=None):
        """Returns the `(K,)` inner products with those of another batch.

        Args:
            other: `HeadGradients`; these themselves by default.
        """
        theirs = (self if other is None else other)._by_head
        totals = [
            [
                self._product(mine[key], their[key])
                for key in mine
                if mine[key] is not None and their[key] is not None
            ]
            for mine, their in zip(self._by_head, theirs, strict=True)
        ]
        if self._stacked:
            return tf.add_n([tf.zeros(self._num_tasks), *totals[0]])
        return tf.stack([tf.add_n([tf.constant(0.0), *t]) for t in totals])

    def _product(self, mine, other):
        if self._stacked:
            mine, other = (tf.cast(g, tf.float32) for g in (mine, other))
            return _sum_by_task(mine * other, self._num_tasks)
        return tf.reshape(inner_products([mine], [other]), [])


def _times(gradient, coefficients):
    """Returns the gradient of stacked variables, task by task scaled."""
    factors = tf.cast(coefficients, gradient.dtype)
    axis = 0 if gradient.shape.rank == 3 else -1
    units = gradient.shape[axis] // int(coefficients.shape[0])
    factors = tf.repeat(factors, units)
    return gradient * (factors if axis else factors[:, None, None])


def _sum_by_task(values, num_tasks):
    if values.shape.rank == 3:
        values = tf.reshape(tf.reduce_sum(values, [1, 2]), [num_tasks, -1])
        return tf.reduce_sum(values, 1)
    by_task = tf.reshape(values, [-1, num_tasks, values.shape[-1] // num_tasks])
    return tf.reduce_sum(by_task, [0, 2])
