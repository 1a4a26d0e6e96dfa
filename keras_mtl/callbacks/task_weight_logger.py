"""Weights, losses and conflicts of the tasks, for TensorBoard and as CSV."""

import csv
import math
from itertools import combinations
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.checks import integer, need, one_of
from keras_mtl.gradients.conflicts import (
    ConflictMeter,
    cosines,
    gradient_conflicts,
)

FILE = "task_weights.csv"
CONFLICTS = ("mean_cosine", "negative_share")


class TaskWeightLogger(keras.callbacks.Callback):
    """Writes weights, losses and conflicts of the tasks during `fit`.

    It writes to TensorBoard, and to `task_weights.csv` with the columns
    `epoch`, `step`, `<task>_weight`, `<task>_loss`, `mean_cosine` and
    `negative_share`. The column `epoch` is the number of finished epochs, and
    counts on where an earlier `fit` of the model ended. Rows of later epochs,
    which an interrupted run left behind, are removed.

    The training step stays as fast as without it. Conflicts cost a pass over
    their batch each time that they are written.

    Example:

    >>> logger = TaskWeightLogger("logs", conflict_data=(x[:256], y_256))
    >>> model.fit(x, y, epochs=5, callbacks=[logger])

    Args:
        log_dir: String, the folder to write to.
        conflict_data: Tuple `(x, y)` or `(x, y, sample_weight)`, one fixed
            batch on which conflicts between the tasks' gradients of shared
            variables are measured: `mean_cosine` over pairs of tasks, and
            `negative_share`, the share of pairs with a negative cosine. Both
            are empty without a batch, and for a single task.
        update_freq: `"epoch"` for one row per epoch, the means that History
            has; or an integer N for a row every N steps of a `fit`, the latest
            weights and the mean losses of the epoch so far.
        conflicts: `"mean"`, or `"pairs"` to write the cosine of every pair of
            tasks, too, as `<task>_<other>_cosine`; needs `conflict_data`.

    Raises:
        ValueError: If an argument is not usable, TensorBoard is not installed,
            or `log_dir` holds a log of other tasks.
    """

    def __init__(
        self,
        log_dir: str | Path,
        conflict_data: tuple | None = None,
        update_freq: str | int = "epoch",
        conflicts: str = "mean",
    ):
        super().__init__()
        need("TaskWeightLogger", ("tensorboard",), "report")
        self.log_dir = Path(log_dir)
        self.conflict_data = conflict_data
        self.conflicts = one_of("conflicts", conflicts, ("mean", "pairs"))
        if conflicts == "pairs" and conflict_data is None:
            raise ValueError(
                "Cosines of pairs of tasks are measured on one batch. Pass "
                "conflict_data=(x, y). Received: conflicts='pairs'"
            )
        if update_freq != "epoch":
            if isinstance(update_freq, str):
                raise ValueError(
                    "Argument `update_freq` must be 'epoch' or a number of "
                    f"steps. Received: update_freq={update_freq!r}"
                )
            update_freq = integer("update_freq", update_freq, 1)
        self.update_freq = update_freq
        # Keras need not wait for steps that nothing is read of.
        self.async_safe = update_freq == "epoch"

    def on_train_begin(self, logs=None):
        """Opens the files, and checks the batch."""
        tasks = getattr(self.model, "task_names", None)
        if tasks is None:
            raise ValueError(
                "TaskWeightLogger logs the tasks of a MultiTaskModel. "
                f"Received: a model of type {type(self.model).__name__}"
            )
        weights = [f"{task}_weight" for task in tasks]
        losses = [f"{task}_loss" for task in tasks]
        pairs = []
        if self.conflicts == "pairs":
            pairs = [f"{a}_{b}_cosine" for a, b in combinations(tasks, 2)]
        self._conflicts = [*CONFLICTS, *pairs]
        self._columns = ["epoch", "step", *weights, *losses, *self._conflicts]
        self._meter = None
        if self.conflict_data is not None:
            self._meter = ConflictMeter(self.model, self.conflict_data)
        self._epoch, self._taken = None, 0
        self._path = self.log_dir / FILE
        self._writer = tf.summary.create_file_writer(str(self.log_dir))

    def on_epoch_begin(self, epoch, logs=None):
        """Finds where the log goes on."""
        finished = float(tf.convert_to_tensor(self.model.epoch))
        started = max(epoch, int(finished))
        if self._epoch is None:
            self._keep_rows_until(started)
        self._epoch, self._before = started + 1, self._taken

    def on_train_batch_end(self, batch, logs=None):
        """Writes a row every `update_freq` steps."""
        if self.update_freq == "epoch":
            return
        # Not from `batch`: of several steps that run at once, Keras also counts
        # those for which there were no more data.
        last, taken = self._taken, self._before + self.model._loss_tracker.steps
        self._taken = taken
        every = int(self.update_freq)
        if taken // every > last // every:
            weights = self.model.task_weights
            latest = {f"{task}_weight": w for task, w in weights.items()}
            self._write({**(logs or {}), **latest}, self._step())

    def on_epoch_end(self, epoch, logs=None):
        """Writes the means over the epoch."""
        if self.update_freq == "epoch":
            self._write(logs, self._epoch)

    def on_train_end(self, logs=None):
        """Closes the files."""
        self._writer.close()

    def _step(self):
        return int(tf.convert_to_tensor(self.model.optimizer.iterations))

    def _write(self, logs, abscissa):
        row = {
            name: logs[name]
            for name in self._columns[2:]
            if name not in self._conflicts
        }
        if self._meter is not None:
            row |= self._measured(self._meter)
        with self._writer.as_default():
            for name, value in row.items():
                if name not in self._conflicts or math.isfinite(value):
                    tf.summary.scalar(self._tag(name), value, abscissa)
        self._writer.flush()
        known = {n: v for n, v in row.items() if not math.isnan(v)}
        counts = {"epoch": self._epoch, "step": self._step()}
        with self._path.open("a", encoding="utf-8", newline="") as file:
            csv.DictWriter(file, self._columns).writerow({**counts, **known})

    def _measured(self, meter):
        """Returns the conflicts by column."""
        if len(self.model.task_names) == 1:
            return meter()._asdict()
        gramian = meter.gramian()
        found = gradient_conflicts(gramian)._asdict()
        upper = np.triu_indices(len(gramian), k=1)
        of_pairs = cosines(gramian)[upper].tolist()
        names = self._conflicts[len(CONFLICTS) :]
        return found | dict(zip(names, of_pairs, strict=False))

    def _tag(self, name):
        if name in self._conflicts:
            return f"gradient_conflicts/{name}"
        task, _, kind = name.rpartition("_")
        return f"task_{kind}/{task}"

    def _keep_rows_until(self, epoch):
        """Starts the file, or goes on with the rows of finished epochs."""
        rows = []
        if self._path.exists():
            with self._path.open(encoding="utf-8", newline="") as file:
                reader = csv.DictReader(file)
                if reader.fieldnames != self._columns:
                    raise ValueError(
                        f"The file '{self._path}' is a log of other tasks. "
                        f"Expected the columns {self._columns}. Received: "
                        f"{reader.fieldnames}. Pass another log_dir."
                    )
                rows = [row for row in reader if _finished(row, epoch)]
        with self._path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(rows)


def _finished(row, epoch):
    """Whether a row is whole, and of the first `epoch` epochs."""
    whole = None not in row.values() and row["epoch"].isdigit()
    return whole and int(row["epoch"]) <= epoch
