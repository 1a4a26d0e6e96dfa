"""Task gradients by a backward pass for each task."""

import keras
import tensorflow as tf

from keras_mtl.gradients.packing import sum_of_columns
from keras_mtl.gradients.sums import inner_products, square


class PassPerTask:
    """The tasks' gradients, each by a pass of its own.

    Args:
        losses: `LocalLosses`.
        sums: `ReplicaSums` of the batch, sent with the gradients if they are
            pending.
        summed: Dict from `id(source)` to the K gradients of all replicas, of
            the sources for which they are known.

    Attributes:
        at_hand: Dict from `id(source)` to the K gradients on this replica.
    """

    def __init__(self, losses, sums, summed=None):
        self._losses, self._sums = losses, sums
        self.at_hand, self._summed = {}, dict(summed or {})

    def pull(self, sources, scopes=None):
        """Returns for each source the K tasks' gradients on this replica.

        Args:
            sources: List of variables or of tensors.
            scopes: List of K sets of `id(source)`, where each task is
                measured, or `None` where all are measured everywhere.
        """
        missing = [s for s in sources if id(s) not in self.at_hand]
        if missing:
            tasks = range(self._losses.num_tasks)
            pulled = [self._losses.of_task(task, missing) for task in tasks]
            columns = map(list, zip(*pulled, strict=True))
            self.at_hand |= zip(map(id, missing), columns, strict=True)
        return _scoped(self.at_hand, sources, scopes)

    def products(self, sources, other=None, scopes=None):
        """Returns the `(K, K)` inner products over these sources.

        Those of variables are global. Those of a representation are of this
        replica's rows.

        Args:
            sources: List of variables or of tensors.
            other: `PassPerTask` of another batch, whose tasks are the columns.
            scopes: As in `pull`.
        """
        other = other or self
        _sum_over_replicas([self, other], sources)
        total = tf.zeros((self._losses.num_tasks,) * 2)
        rows = _scoped(self._summed, sources, scopes)
        columns = _scoped(other._summed, sources, scopes)
        for mine, theirs in zip(rows, columns, strict=True):
            total += inner_products(mine, theirs)
        return total

    def summed(self, variables):
        """Returns for each variable the K tasks' gradients of all replicas."""
        _sum_over_replicas([self], variables)
        return [self._summed[id(variable)] for variable in variables]

    def squares(self, sources, scopes=None):
        """Returns the `(K,)` squared norms, as `products` the products."""
        _sum_over_replicas([self], sources)
        squares = tf.zeros(self._losses.num_tasks)
        for gradients in _scoped(self._summed, sources, scopes):
            squares += tf.stack([square(gradient) for gradient in gradients])
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
    pairs = list(pending.values())
    for batch in {id(batch): batch for batch, _ in pairs}.values():
        batch.pull(sources)
    columns = [batch.at_hand[id(source)] for batch, source in pairs]
    # Of a representation, each replica has other rows.
    if isinstance(pairs[0][1], keras.Variable):
        late = [batch._sums for batch in batches if batch._sums.pending]
        columns += [[sums.local] for sums in late]
        columns = sum_of_columns(columns)
        for sums in reversed(late):
            sums.set(columns.pop()[0])
    for (batch, source), column in zip(pairs, columns, strict=True):
        batch._summed[id(source)] = column


def _scoped(found, sources, scopes):
    """Returns the gradients of sources, `None` outside a task's scope."""
    if scopes is None:
        return [found[id(source)] for source in sources]
    return [
        [
            gradient if id(source) in mine else None
            for gradient, mine in zip(found[id(source)], scopes, strict=True)
        ]
        for source in sources
    ]
