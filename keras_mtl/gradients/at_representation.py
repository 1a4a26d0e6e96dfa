"""The tasks' gradients at the representation, and sums over its rows."""

import tensorflow as tf

from keras_mtl import distribution
from keras_mtl.gradients import roles


class AtRepresentation:
    """The tasks' gradients at the tensors that all of them start from.

    Args:
        backward: `BackwardPasses`.
    """

    def __init__(self, backward):
        self._backward = backward

    def keep(self):
        """Computes nothing: `products` refuses another batch."""

    def products(self, other=None):
        """Returns the `(K, K)` inner products of the tasks' gradients.

        Raises:
            ValueError: If `other` is not `None`.
        """
        if other is not None:
            raise ValueError(
                "Query and support batch have no representation in common. "
                "Pass scope='shared' to "
                f"{self._backward.model.weighter.name!r}. Received: "
                "scope='representation'"
            )
        return distribution.all_sum(self._backward.at_lowest.gramian())

    def squares(self):
        """Returns the `(K,)` squared norms of the tasks' gradients."""
        return distribution.all_sum(self._backward.at_lowest.squared_norms())

    def matrix(self):
        """Returns `(K, D)`, summed over the rows of the batch.

        As the gradients of a bias that is added to the representation.
        """
        at_lowest = self._backward.at_lowest
        number = len(roles.of(self._backward.model).reach.lowest)
        return _row_sums(at_lowest, number, lambda sums, _: sums)


def signed_sums(backward):
    """Returns the `(K, D)` gradients at the cut, summed.

    Over the rows of the batch, each times the sign of the cut.

    Args:
        backward: `BackwardPasses`.
    """
    roles.check_cut(backward.model)
    return _row_sums(
        backward.at_cut,
        len(roles.of(backward.model).reach.below),
        lambda cotangents, leaf: cotangents * tf.sign(leaf),
    )


def _row_sums(at_leaves, number, of_leaf):
    """Returns `(K, D)`, summed over the rows of all replicas.

    Args:
        at_leaves: The tasks' gradients at `number` leaves, or at these of each
            task.
        number: Integer.
        of_leaf: Function from a leaf's gradients and the leaf to the summands.
    """
    sums = [0.0] * number
    pairs = zip(at_leaves.leaves, at_leaves.stacked, strict=True)
    for place, pair in enumerate(pairs):
        leaf, stacked = (tf.cast(tensor, tf.float32) for tensor in pair)
        total = tf.reduce_sum(of_leaf(stacked, leaf), axis=1)
        width = leaf.shape[1:].num_elements()
        total = tf.reshape(total, [stacked.shape[0], width])
        sums[place % number] += total
    return distribution.all_sum(tf.concat(sums, axis=1))
