"""Keras' progress line, for more tasks than a line can hold."""

import math

import keras
import numpy as np

from keras_mtl import compat

# So many tasks have columns of their own on a line of a screen.
MOST_TASKS = 6


class ProgressLine(keras.callbacks.ProgbarLogger):
    """Shows means over tasks and the task with the largest loss.

    `MultiTaskModel.fit` and `evaluate` use it for more than six tasks. History
    keeps all columns.

    Args:
        tasks: Sequence of strings, the tasks' names.
    """

    # As Keras' own, which it calls without waiting.
    async_safe = True

    def __init__(self, tasks):
        super().__init__()
        self._tasks = tuple(tasks)
        self._prefixes = tuple(f"{task}_" for task in tasks)
        self._hidden = {}

    def on_train_batch_end(self, batch, logs=None):
        """Shows the means so far."""
        super().on_train_batch_end(batch, self._shown(logs))

    def on_test_batch_end(self, batch, logs=None):
        """Shows the means so far."""
        super().on_test_batch_end(batch, self._shown(logs))

    def on_epoch_end(self, epoch, logs=None):
        """Ends the line."""
        super().on_epoch_end(epoch, self._shown(logs))

    def on_test_end(self, logs=None):
        """Ends the line."""
        super().on_test_end(self._shown(logs))

    def _shown(self, logs):
        if self.progbar is not None:
            # The name of the worst task is part of a key, and may change.
            compat.forget_values(self.progbar)
        return shown(logs or {}, self._tasks, self._is_hidden)

    def _is_hidden(self, name):
        if name not in self._hidden:
            own = name.removeprefix("val_")
            hidden = own.startswith(self._prefixes)
            self._hidden[name] = hidden and not own.startswith("mean_")
        return self._hidden[name]


def shown(logs, tasks, is_hidden) -> dict:
    """Returns what the line shows of the logs.

    Args:
        logs: Mapping from column to number.
        tasks: Tuple of strings.
        is_hidden: Function that says whether a column is that of one task.
    """
    values = {}
    for prefix in ("", "val_"):
        values |= {
            name: value
            for name, value in logs.items()
            if not is_hidden(name) and name.startswith("val_") == bool(prefix)
        }
        names = [f"{prefix}{task}_loss" for task in tasks]
        losses = np.array([logs.get(name, math.nan) for name in names], float)
        if np.isfinite(losses).any():
            worst = int(np.nanargmax(losses))
            values[f"{prefix}mean_loss"] = float(np.nanmean(losses))
            values[f"{prefix}worst_loss ({tasks[worst]})"] = losses[worst]
    if not values.get("skipped_steps", 1):
        del values["skipped_steps"]
    return values


def with_line(tasks, callbacks, verbose):
    """Returns the callbacks, a `ProgressLine` at their end if one is needed.

    Args:
        tasks: Tuple of strings.
        callbacks: Callbacks as users pass them.
        verbose: As `fit` takes it.
    """
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    given = keras.tree.flatten(callbacks or [])
    bars = keras.callbacks.ProgbarLogger
    if verbose == 0 or len(tasks) <= MOST_TASKS:
        return given
    if any(isinstance(callback, bars) for callback in given):
        return given
    return [*given, ProgressLine(tasks)]
