"""Sums over a batch: losses, counts and rows of all replicas."""

import functools

from keras_mtl.gradients.local_losses import (
    denominators,
    divided,
    packed,
    totals_of,
    undivided,
)


class BatchTotals:
    """Losses over all replicas, summed at once or with something else.

    Attributes:
        totals: `Totals`, losses and numbers of labels by part, and of rows.
        losses: `(K,)` float32, global mean loss of each task.
        present: `(K,)` float32, 1 for a task with a label.
        regularisation: Float scalar, the layers' own losses, the mean over
            replicas, and the discriminator's, weighted.
    """

    adversarial = 0.0

    def add_up(self, local, rows, own, late):
        """Returns the values that `LocalLosses` takes.

        Args:
            local: `TaskSums` or `PartSums` of this replica.
            rows: Integer scalar, its number of rows.
            own: Float scalar, its layers' own losses.
            late: Boolean. Whether the sum over replicas waits for another. The
                values are then sums, and not yet divided, where they can be.
        """
        self._local_sums, self.sums = local, packed(local, rows, own)
        values = undivided(local) if late else None
        self._is_late = values is not None
        return divided(local, self.sums) if values is None else values

    @functools.cached_property
    def totals(self):
        """What the replicas have together."""
        return totals_of(self._local_sums, self.sums)

    @property
    def losses(self):
        """The tasks' global mean losses."""
        return self.totals.losses

    @property
    def present(self):
        """1 for a task with a label, else 0."""
        return self.totals.present

    @property
    def regularisation(self):
        """The layers' own losses and the discriminator's."""
        return self.totals.own + self.adversarial

    def divided_rows(self, products):
        """Returns inner products whose rows are those of tasks' mean losses."""
        if not self._is_late:
            return products
        return products / denominators(self._local_sums, self.sums)[:, None]
