"""Exact rankings of all tasks at the end of each epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_mtl.callbacks.log_writer import LogWriter
from keras_mtl.checks import check_tasks, one_of
from keras_mtl.metrics.ranking import average_precision, roc_auc
from keras_mtl.training.logs import nan_mean

# How a metric is computed, and what its columns are called.
METRICS = {
    "average_precision": (average_precision, "ap"),
    "roc_auc": (roc_auc, "auc"),
}


class RankingMetrics(LogWriter):
    """Writes exact average precision and ROC AUC into the logs of an epoch.

    One `predict` of the validation data serves all tasks and metrics. The
    columns are `val_<task>_ap` and `val_<task>_auc`, and their means over
    tasks `val_mean_ap` and `val_mean_auc`, which leave out tasks that are
    NaN: those without labels of both classes (for `ap`, without a positive
    label). Labels that are NaN, or whose sample weight is 0, are left out; all
    others count the same.

    Example:

    >>> ranking = RankingMetrics((x_val, y_val, present_val))
    >>> best = keras.callbacks.EarlyStopping("val_mean_ap", mode="max")
    >>> model.fit(x, y, epochs=9, callbacks=[ranking, best])

    Args:
        validation_data: Tuple of arrays `(x, y)` or `(x, y, sample_weight)`,
            as `fit` takes them. Labels are 0 or 1.
        metrics: Tuple of names among `"average_precision"` and `"roc_auc"`.
        tasks: List of names of the binary tasks; by default those that have
            labels, a loss for classification and one score per row.
        batch_size: Integer, rows that are predicted at once.

    Raises:
        ValueError: If the data are not such a tuple, a metric is unknown, or,
            once training begins, a task is unknown or none is binary.
    """

    def __init__(
        self,
        validation_data: tuple,
        metrics: Sequence[str] = ("average_precision", "roc_auc"),
        tasks: Sequence[str] | None = None,
        batch_size: int | None = None,
    ):
        super().__init__()
        if not isinstance(validation_data, tuple | list) or (
            len(validation_data) not in (2, 3)
        ):
            raise ValueError(
                "Argument `validation_data` must be a tuple of arrays (x, y) "
                "or (x, y, sample_weight). Received: "
                f"{type(validation_data).__name__}. Rows of a data set must be "
                "collected into arrays first."
            )
        self._x, self._y, self._weight = (*validation_data, None)[:3]
        metrics = [metrics] if isinstance(metrics, str) else list(metrics)
        self._metrics = [
            METRICS[one_of("metrics", m, METRICS)] for m in metrics
        ]
        self._given, self._batch_size = tasks, batch_size

    def on_train_begin(self, logs=None):
        """Finds the tasks to measure."""
        names = self.model.task_names
        if isinstance(self._y, Mapping):
            check_tasks("label", self._y, self.model.output_names)
        if self._given is not None:
            check_tasks("ranking", self._given, names)
        self._tasks = [task for task in names if self._is_binary(task)]
        if not self._tasks:
            raise ValueError(
                "RankingMetrics found no binary task: one with labels, a loss "
                "for classification and one score per row. Received: tasks "
                f"{list(names)}, tasks={self._given!r}"
            )

    def columns(self):
        """Returns the names of what it writes."""
        return [
            f"val_{task}_{name}"
            for _, name in self._metrics
            for task in (*self._tasks, "mean")
        ]

    def written(self, epoch, logs):
        """Returns the tasks' columns and their means."""
        scores = self.model.predict(
            self._x, batch_size=self._batch_size, verbose=0
        )
        columns = [self._column(task, scores) for task in self._tasks]
        found = {}
        for function, name in self._metrics:
            values = [float(function(*column)[0]) for column in columns]
            named = zip(self._tasks, values, strict=True)
            found |= {f"val_{task}_{name}": value for task, value in named}
            found.setdefault(f"val_mean_{name}", nan_mean(values))
        return found

    def _is_binary(self, task):
        if self._given is not None:
            return task in self._given
        if isinstance(self._y, Mapping) and self._y.get(task) is None:
            return False
        shape = self._shape(task)
        return self.model.task_losses.kinds[task] == "classification" and (
            shape is not None and shape[1:] in ((), (1,))
        )

    def _shape(self, task):
        """Returns the shape of a task's prediction, `None` if it has parts."""
        found = self.model.arrangement.symbolic_output(self.model, task, ())
        return getattr(found, "shape", None)

    def _column(self, task, scores):
        """Returns labels, scores and weights of a task's rows, `(n,)` each."""
        parts = (self._y, scores, self._weight)
        if isinstance(scores, Mapping):
            parts = [
                p.get(task) if isinstance(p, Mapping) else p for p in parts
            ]
        else:
            parts = self._stacked(task, parts)
        flat: list[Any] = [
            None if part is None else np.asarray(part).reshape(len(part))
            for part in parts
        ]
        label, score, weight = flat
        label = np.asarray(label, "float64")
        present = ~np.isnan(label)
        if weight is not None:
            present &= weight != 0.0
        if not present.any():  # NaN, as without a label of either class.
            return [0.0], [0.0], [0.0]
        return label[present], score[present], None

    def _stacked(self, task, parts):
        """Returns the columns of a task, or its rows."""
        number = self.model.output_names.index(task)
        if self.model.arrangement.owner_of_row(self._x) is not None:
            ids = self.model.arrangement.own_rows(self._x)["task"]
            mine = ids == number
            return [None if p is None else np.asarray(p)[mine] for p in parts]
        wide = [p is not None and np.ndim(p) > 1 for p in parts]
        return [
            np.asarray(p)[:, number % np.shape(p)[1]] if is_wide else p
            for p, is_wide in zip(parts, wide, strict=True)
        ]
