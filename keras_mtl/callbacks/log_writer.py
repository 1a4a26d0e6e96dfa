"""Callbacks that add columns to the logs of an epoch."""

import keras


class LogWriter(keras.callbacks.Callback):
    """Adds columns to the logs of each epoch.

    `MultiTaskModel.fit` calls it before other callbacks, wherever it stands
    among them, so that `ModelCheckpoint`, `EarlyStopping`, `CSVLogger` and
    History read what it writes. A subclass defines `columns` and `written`.

    Example:

    >>> class WorstLoss(LogWriter):
    ...     def columns(self):
    ...         return ["worst_loss"]
    ...     def written(self, epoch, logs):
    ...         losses = [logs["topic_loss"], logs["tone_loss"]]
    ...         return {"worst_loss": max(losses)}
    >>> history = model.fit(x, y, callbacks=[WorstLoss()], verbose=0)
    >>> len(history.history["worst_loss"])
    1
    """

    # Those of a lower rank come first: others may read what they write.
    rank = 0

    def columns(self) -> list[str]:
        """Returns the names of what it writes."""
        raise NotImplementedError

    def written(self, epoch, logs) -> dict[str, float]:
        """Returns the new columns of an epoch.

        Args:
            epoch: Integer, from 0.
            logs: Dict of the columns known so far.
        """
        raise NotImplementedError

    def on_epoch_end(self, epoch, logs=None):
        """Adds the columns to the logs."""
        logs = {} if logs is None else logs
        logs.update(self.written(epoch, logs))


def writers_first(callbacks) -> list:
    """Returns the callbacks, those that write logs before the others."""
    writers = [c for c in callbacks if isinstance(c, LogWriter)]
    others = [c for c in callbacks if not isinstance(c, LogWriter)]
    return [*sorted(writers, key=lambda c: c.rank), *others]
