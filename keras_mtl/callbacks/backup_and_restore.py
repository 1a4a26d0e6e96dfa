"""Resuming after a kill, with one worker or several."""

import os
from pathlib import Path

import keras

from keras_mtl import compat
from keras_mtl.distribution import is_first_worker


class BackupAndRestore(keras.callbacks.Callback):
    """Saves the whole training state after each epoch, and starts from it.

    `fit()` called again after a kill goes on after the last epoch that was
    saved and ends with the weights of an uninterrupted run, if its batches
    have the order they had. Unlike `keras.callbacks.BackupAndRestore`, a kill
    at any moment leaves a whole backup, and several workers share the folder:
    the first one writes, all read.

    Example:

    >>> backup = keras_mtl.callbacks.BackupAndRestore("runs/backup")
    >>> model.fit(x, y, epochs=10, shuffle=False, callbacks=[backup])

    Args:
        folder: String, a folder for this run alone, which all workers see.
        delete: Boolean, whether to delete the backup when training ends.
    """

    def __init__(self, folder: str | Path, delete: bool = True):
        super().__init__()
        self.folder, self.delete = Path(folder), delete

    def on_train_begin(self, logs=None):
        """Loads the latest backup."""
        compat.set_initial_epoch(self.model, None)
        backups = self._backups()
        if backups:
            self.model.load_weights(backups[-1])
            compat.set_initial_epoch(self.model, int(backups[-1].name[6:14]))

    def on_epoch_end(self, epoch, logs=None):
        """Saves a backup, and deletes those before it."""
        if not is_first_worker(self.model.distribute_strategy):
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        old = self._backups()
        partial = self.folder / "partial.weights.h5"
        self.model.save_weights(partial)
        os.replace(partial, self.folder / f"epoch_{epoch + 1:08d}.weights.h5")
        for backup in old:
            backup.unlink()

    def on_train_end(self, logs=None):
        """Deletes the backup."""
        compat.set_initial_epoch(self.model, None)  # Of the next `fit`, too.
        if self.delete and is_first_worker(self.model.distribute_strategy):
            for backup in self._backups():
                backup.unlink()

    def _backups(self):
        return sorted(self.folder.glob("epoch_????????.weights.h5"))
