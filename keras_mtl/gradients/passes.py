"""Task gradients by a backward pass for each task."""

import keras
import tensorflow as tf

from keras_mtl.gradients.packing import sum_of_columns
from keras_mtl.gradients.sums import inner_products, square


class PassPerTask:
    """The tasks' gradients, each by a pass of its own.

    Args:
        losses: `LocalLosses`.

    Attributes:
        at_hand: Dict from `id(source)` to the K gradients on this replica.
    """

    def __init__(self, losses):
        self._losses = losses
        self.at_hand, self._summed = {}, {}

    def pull(self, sources):
        """Returns for each source the K tasks' gradients on this replica."""
        missing = [s for s in sources if id(s) not in self.at_hand]
        if missing:
            tasks = range(self._losses.num_tasks)
            pulled = [self._losses.of_task(task, missing) for task in tasks]
            columns = map(list, zip(*pulled, strict=True))
            self.at_hand |= zip(map(id, missing), columns, strict=True)
        return [self.at_hand[id(source)] for source in sources]

    def products(self, sources, other=None):
        """Returns the `(K, K)` inner products over these sources.

        Those of variables are global. Those of a representation are of this
        replica's rows.

        Args:
            sources: List of variables or of tensors.
            other: `PassPerTask` of another batch, whose tasks are the columns.
        """
        other = other or self
        _sum_over_replicas([self, other], sources)
        total = tf.zeros((self._losses.num_tasks,) * 2)
        for source in map(id, sources):
            total += inner_products(self._summed[source], other._summed[source])
        return total

    def squares(self, sources):
        """Returns the `(K,)` squared norms, as `products` the products."""
        _sum_over_replicas([self], sources)
        squares = tf.zeros(self._losses.num_tasks)
        for source in map(id, sources):
            squares += tf.stack([square(g) for g in self._summed[source]])
        return squares


def _sum_over_replicas(batches, sources):
    """Sums what is not yet summed, that of all batches at once."""
    pending = {
        (id(batch), id(source)): (batch, source)
        for batch in batches
        for source in sources
        if id(source) not in batch._summed
    }
    if not pending:
        return
    for batch in batches:
        batch.pull(sources)
    pairs = list(pending.values())
    columns = [batch.at_hand[id(source)] for batch, source in pairs]
    # Of a representation, each replica has other rows.
    if isinstance(pairs[0][1], keras.Variable):
        columns = sum_of_columns(columns)
    for (batch, source), column in zip(pairs, columns, strict=True):
        batch._summed[id(source)] = column
