"""Which rows of stacked tasks are held out as query rows."""

import numpy as np

from keras_mtl.data.rotation import rotations
from keras_mtl.data.support_query import SupportQuery, support_query_split
from keras_mtl.tasks.own_rows import (
    has_ids,
    rotation_by_task,
    split_rows_by_task,
    take_rows,
)
from keras_mtl.tasks.stacked_checks import check_labels


class HeldOutRows:
    """What `StackedTasks` hold out of whole arrays.

    A subclass provides `heads`, `task_names` and `_columns`.
    """

    def split(self, x, y, sample_weight, query_split, separate=False):
        """Returns the `SupportQuery` of whole arrays.

        All tasks alike, unless rows belong to one task each.
        """
        whole = (x, y, sample_weight)
        if has_ids(x):
            sides = split_rows_by_task(whole, self.task_names, query_split)
            return SupportQuery(*(take_rows(whole, side) for side in sides))
        y = np.asarray(y)
        check_labels(self.heads, y.shape, y.dtype)
        weights = self._weights_by_task(sample_weight)
        numbers = np.arange(len(y))
        sides = support_query_split(
            numbers, self._columns(y), weights, query_split=query_split
        )
        return SupportQuery(
            *(take_rows(whole, numbers) for numbers, *_ in sides)
        )

    def rotations(self, x, y, sample_weight, query_split, separate=False):
        """Returns the `Rotation` of all rows, by any name."""
        if has_ids(x):
            rotation = rotation_by_task(
                (x, y, sample_weight), self.task_names, query_split
            )
            return {"rows": rotation}
        y = np.asarray(y)
        check_labels(self.heads, y.shape, y.dtype)
        weights = self._weights_by_task(sample_weight)
        return rotations(self._columns(y), weights, query_split, 0, separate)

    def _weights_by_task(self, sample_weight):
        if sample_weight is None:
            return None
        weights = np.asarray(sample_weight)
        rows = weights.reshape(len(weights), -1)
        return self._columns(
            np.broadcast_to(rows, (len(rows), len(self.task_names)))
        )
