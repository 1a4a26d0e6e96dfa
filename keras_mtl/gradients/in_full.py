"""Signals that need every task's gradient, not inner products alone."""

import tensorflow as tf

from keras_mtl import distribution
from keras_mtl.gradients import roles
from keras_mtl.gradients.halves import EVEN, ODD, HalfLosses
from keras_mtl.gradients.sums import inner_products


class GradientsInFull:
    """What `TaskGradients` measures by a backward pass for each task."""

    def split_gramian(self, scope):
        """Returns the `(K, K)` inner products of two halves' gradients.

        Row i: task i's gradient on the even rows; column j: task j's on the
        odd ones. A task without a label in one half has a row and a column of
        zeros.

        Raises:
            ValueError: If the scope is the representation.
        """
        if scope == "representation":
            raise ValueError(
                "Two halves of a batch have no rows of the representation in "
                f"common. Pass scope='shared' to {self._model.weighter.name!r}."
                f" Received: scope={scope!r}"
            )
        sources = roles.scope_variables(self._model, scope)
        even, odd = (
            HalfLosses(self._model, self._local.tape, self, parity, self._scale)
            for parity in (EVEN, ODD)
        )
        total = tf.zeros((self._local.num_tasks,) * 2)
        for rows, columns in zip(
            _by_source(even.losses, sources),
            _by_source(odd.losses, sources),
            strict=True,
        ):
            total += inner_products(rows, columns)
        present = even.present * odd.present
        return total * present[:, None] * present / self._scale**2


def _by_source(losses, sources):
    """Returns for each source the global gradients of the K tasks."""
    pulled = [
        distribution.all_sum(losses.of_task(task, sources))
        for task in range(losses.num_tasks)
    ]
    return map(list, zip(*pulled, strict=True))
