"""The epoch at which a run is judged."""

import time
from typing import Any

import keras
import numpy as np


class BestEpoch(keras.callbacks.Callback):
    """Keeps the epoch whose validation metrics are the best.

    That is the one with the largest mean relative change against the first
    epoch: it needs no common unit.

    Args:
        metrics: `Metrics`.
        task: String, the only task that is trained, or None for all.
        on_epoch: Function of a dict of `epoch`, `epochs` and `loss`.
        should_stop: Function that says after each epoch whether to end.

    Attributes:
        epoch: Integer, from 1.
        logs: Dict, those of that epoch.
        weights: List of arrays, the model's after that epoch.
        history: Dict from name to a list of floats, one an epoch.
        seconds: List of floats, one an epoch.
        steps: Integer, in an epoch.
    """

    params: dict[str, Any]

    def __init__(self, metrics, task, on_epoch, should_stop):
        super().__init__()
        self._metrics, self._task, self._tell = metrics, task, on_epoch
        self._should_stop = should_stop
        self._first, self._best = None, -np.inf
        self.epoch, self.logs, self.weights = 0, {}, None
        self.history, self.seconds, self.steps = {}, [], 0

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the clock."""
        self._began, self.steps = time.monotonic(), 0
        self._ended = self._began

    def on_train_batch_end(self, batch, logs=None):
        """Counts steps; validation is not part of their time."""
        self.steps = max(self.steps, batch + 1)
        self._ended = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        """Keeps the logs, and the weights if they are the best yet."""
        self.seconds.append(self._ended - self._began)
        logs = logs or {}
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        scores = self._metrics.read(logs, "val_", self._task)
        self._first = self._first or scores
        change = self._metrics.change(scores, self._first)
        if self.weights is None or change > self._best:
            self._best, self.epoch = change, epoch + 1
            self.logs, self.weights = dict(logs), self.model.get_weights()
        loss = float(logs.get("val_loss", logs["loss"]))
        self._tell(
            {"epoch": epoch + 1, "epochs": self.params["epochs"], "loss": loss}
        )
        if self._should_stop is not None and self._should_stop():
            self.model.stop_training = True
