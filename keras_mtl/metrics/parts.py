"""Means of losses by task, where a task may have several losses."""

import tensorflow as tf

from keras_mtl.tasks.task_losses import largest_of_parts, sum_of_parts


class Parts:
    """Which losses make which task's.

    Args:
        number: Integer, P.
        owners: List of P integers, each loss's task; `None` where each task
            has one.
        weights: List of P weights within the tasks, or `None`.
        names: List of P strings or `None`, of what has a column of its own.
    """

    def __init__(self, number, owners=None, weights=None, names=()):
        self.number, self._owners, self._weights = number, owners, weights
        self.named = [name for name in names if name is not None]
        self._places = [k for k, name in enumerate(names) if name is not None]

    @classmethod
    def of(cls, losses, outputs):
        """Returns those of `TaskLosses` on predictions nested so."""
        layout = losses.layout(outputs)
        if layout is None:
            return cls(len(losses.task_names))
        return cls(len(layout[0]), *layout)

    def present(self, counts):
        """Returns `(K,)` booleans, whether a task has a label."""
        if self._owners is not None:
            counts = largest_of_parts(counts, self._owners)
        return counts > 0.0

    def losses(self, sums, counts) -> list:
        """Returns the tasks' losses, and those of named parts.

        NaN for what has no label.
        """
        means, nan = tf.math.divide_no_nan(sums, counts), float("nan")
        losses = means
        if self._owners is not None:
            losses = sum_of_parts(means, self._owners, self._weights)
        found = [tf.where(self.present(counts), losses, nan)]
        if self.named:
            parts = tf.where(counts > 0.0, means, nan)
            found.append(tf.gather(parts, self._places))
        return found


def check_distinct(names):
    """Raises if two columns of History would have one name."""
    # Those of an evaluation carry a `val_` in front.
    columns = [*names, *(f"val_{name}" for name in names)]
    seen = set()
    for name in columns:
        if name in seen:
            raise ValueError(
                f"Two columns of History would be called {name!r}. Rename a "
                "task, or a part of what its head predicts."
            )
        seen.add(name)
