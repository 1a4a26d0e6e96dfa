"""Checkpoints of a run, and which of them can be trusted."""

import hashlib
import json
import os
import shutil
import warnings

import keras
import numpy as np

from keras_mtl.lab.runs.json_files import read_object

MODEL, WEIGHTS, STATE = "model.keras", "weights.npy", "state.json"
CHECKSUMS = "checksums.json"


class Checkpoints:
    """A folder of checkpoints, each of an epoch.

    It holds the latest two and the epochs that they call the best: one may be
    damaged. None is read whose checksums are not those that were written.

    Args:
        path: `Path` of the folder; it may not exist yet.
    """

    def __init__(self, path):
        self.path = path

    def save(self, model, state, task_weights):
        """Writes a checkpoint, whole or not at all, and drops old ones.

        Args:
            model: The model after `state["epochs_done"]` epochs.
            state: Dict for JSON with `epochs_done` and `best_epoch`.
            task_weights: `(steps, K)` array.
        """
        epoch = state["epochs_done"]
        folder = self._folder(epoch)
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            model.save(partial / MODEL)
            np.save(partial / WEIGHTS, task_weights, allow_pickle=False)
            (partial / STATE).write_text(json.dumps(state), "utf-8")
            sums = {path.name: _checksum(path) for path in partial.iterdir()}
            (partial / CHECKSUMS).write_text(json.dumps(sums), "utf-8")
        except OSError:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
        earlier = [number for number in self._epochs() if number < epoch]
        self._keep({epoch, state["best_epoch"], *self._needed(earlier[-1:])})

    def latest(self):
        """Returns `(state, task_weights)` of the latest whole one, or None.

        Warns of later ones that are damaged, and removes them.
        """
        damage, epochs = None, self._epochs()
        while epochs:
            try:
                state = self._state(epochs[-1])
                break
            except ValueError as error:
                damage = error
                epochs.pop()
        if damage:
            begin = f"from epoch {epochs[-1]}" if epochs else "from the start"
            warnings.warn(
                f"{damage} Going on {begin}; the result will be the same.",
                stacklevel=3,
            )
            self._keep(epochs)
        if not epochs:
            return None
        path = self._folder(epochs[-1]) / WEIGHTS
        return state, np.load(path, allow_pickle=False)

    def load_model(self, epoch):
        """Returns the model of a checkpoint, ready to go on.

        Raises:
            ValueError: If the checkpoint is damaged.
        """
        try:
            self._check(epoch)
        except ValueError as error:
            raise ValueError(
                f"{error} Pass --resume to go on from an earlier one."
            ) from error
        return keras.saving.load_model(self._folder(epoch) / MODEL)

    def remove(self):
        """Removes all checkpoints."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _state(self, epoch):
        """Returns the state of an epoch that can be gone on from."""
        self._check(epoch)
        state = read_object(self._folder(epoch) / STATE, "")
        if state["best_epoch"] is not None:
            self._check(state["best_epoch"])
        return state

    def _check(self, epoch):
        folder = self._folder(epoch)
        try:
            sums = read_object(folder / CHECKSUMS, "")
            bad = [
                name
                for name in (MODEL, WEIGHTS, STATE)
                if sums.get(name) != _checksum(folder / name)
            ]
        except (OSError, ValueError):
            bad = ["a file"]
        if bad:
            raise ValueError(
                f"The checkpoint '{folder}' is damaged: {bad[0]} is not what "
                "was saved."
            )

    def _needed(self, epochs):
        """Returns these epochs, and those that they call the best."""
        best = []
        for epoch in epochs:
            try:
                state = read_object(self._folder(epoch) / STATE, "")
                best.append(state["best_epoch"])
            except (OSError, ValueError, KeyError):
                continue  # Damaged since it was written.
        return {*epochs, *best}

    def _keep(self, epochs):
        kept = {self._folder(epoch) for epoch in epochs if epoch}
        for path in self.path.iterdir():
            if path not in kept:
                shutil.rmtree(path)

    def _folder(self, epoch):
        return self.path / f"epoch_{epoch:05d}"

    def _epochs(self):
        paths = self.path.glob(f"epoch_{5 * '[0-9]'}")
        return sorted(int(path.name[-5:]) for path in paths)


def _checksum(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
