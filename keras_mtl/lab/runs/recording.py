"""What an experiment records, epoch by epoch."""

import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf


class Recorder(keras.callbacks.Callback):
    """Keeps history and weights, and saves both with the model.

    Args:
        state: Dict that an earlier recorder saved, or None.
        task_weights: `(steps, K)` array of its steps, or None.

    Attributes:
        history: Dict from name to list, one entry for each epoch.
        epochs_done: Integer.
        best_epoch: Integer, the epoch, from 1, of the best mean validation
            metric; None without `monitor`.
        monitor: String, name of the validation metric, or None.
        folder: `RunFolder` to save to, or None.
    """

    params: dict[str, Any]

    def __init__(self, state=None, task_weights=None):
        super().__init__()
        state = state or {
            "epochs_done": 0,
            "best_epoch": None,
            "best_score": None,
            "history": {},
        }
        self.epochs_done = state["epochs_done"]
        self.best_epoch = state["best_epoch"]
        self.best_score = state["best_score"]
        self.history = state["history"]
        self._steps = [] if task_weights is None else [*task_weights]
        self.monitor = self.folder = None
        self.save_seconds = 0.0
        self._saved_at = time.monotonic()

    @property
    def task_weights(self):
        """`(steps, K)` float32, the weights after each step."""
        return np.array(self._steps, "float32")

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the clock."""
        self._began = time.monotonic()
        self._ends = []

    def on_train_batch_end(self, batch, logs=None):
        """Keeps the weights, and the time."""
        weights = tf.convert_to_tensor(self.model.weighter.task_weights)
        self._steps.append(weights.numpy().copy())
        self._ends.append((time.monotonic(), time.process_time()))

    def on_epoch_end(self, epoch, logs=None):
        """Keeps the logs, and saves."""
        now = time.monotonic()
        logs = {**(logs or {}), "seconds": now - self._began}
        if len(self._ends) > 1:
            steps = np.median(np.diff(self._ends, axis=0), axis=0)
            logs["step_seconds"], logs["step_processor_seconds"] = steps
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        self.epochs_done = epoch + 1
        improved = self.monitor is not None and self._is_best(logs)
        last = self.epochs_done == self.params["epochs"]
        due = now - self._saved_at >= self.save_seconds
        if self.folder is not None and (improved or last or due):
            self.folder.save(self.model, self._state(), self.task_weights)
            self._saved_at = time.monotonic()

    def _is_best(self, logs):
        scores = [
            logs[f"val_{task}_{self.monitor}"] for task in self.model.task_names
        ]
        score = float(np.mean(scores))
        if self.best_score is not None and score <= self.best_score:
            return False
        self.best_epoch, self.best_score = self.epochs_done, score
        return True

    def _state(self):
        return {
            "epochs_done": self.epochs_done,
            "best_epoch": self.best_epoch,
            "best_score": self.best_score,
            "history": self.history,
        }
