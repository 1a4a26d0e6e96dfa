"""Δm of the validation scores, epoch by epoch."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

from keras_mtl.callbacks.log_writer import LogWriter
from keras_mtl.checks import check_tasks, did_you_mean, integer
from keras_mtl.metrics.delta_m import delta_m


class DeltaM(LogWriter):
    """Writes Δm of the validation scores into the logs of each epoch.

    The column `val_delta_m` is the tasks' mean relative change against a
    baseline, in percent: one number to choose the epoch by. Epochs without a
    validation have none.

    Example:

    >>> base = {"topic": {"accuracy": 0.8}, "stars": {"loss": 0.5}}
    >>> change = DeltaM(base, {"accuracy": True, "loss": False}, patience=3)
    >>> best = keras.callbacks.ModelCheckpoint(
    ...     "best.keras", "val_delta_m", mode="max", save_best_only=True)
    >>> model.fit(x, y, validation_data=val, callbacks=[change, best])
    >>> change.best_epoch
    {'topic': 4, 'stars': 2}

    Args:
        base: Dict from task name to a dict from metric to the baseline's
            value, usually that of a single-task model. Metrics are those of
            the columns `val_<task>_<metric>`.
        higher_is_better: Boolean or dict from metric to boolean, as in
            `keras_mtl.delta_m`.
        patience: Integer, at least 1, number of validated epochs without
            improvement of any task after which training stops. `None` never
            stops.

    Attributes:
        best_epoch: Dict from task name to the epoch, from 0, of its largest
            change in the latest `fit`; `None` if it had no score.

    Raises:
        ValueError: If `base` is not nested so or has a number that is 0 or not
            finite, a direction is missing, or a task or column is unknown.

    Reference:
        - [Maninis et al., 2019](https://arxiv.org/abs/1904.08918)
    """

    rank = 1

    def __init__(
        self,
        base: Mapping[str, Any],
        higher_is_better: bool | Mapping[str, Any] = True,
        patience: int | None = None,
    ):
        super().__init__()
        self._base = _checked(base)
        self._higher_is_better = higher_is_better
        self._patience = patience
        if patience is not None:
            self._patience = integer("patience", patience, 1)
        delta_m(self._base, self._base, higher_is_better)
        self._restart()

    def _restart(self):
        self.best_epoch = dict.fromkeys(self._base)
        self._best = dict.fromkeys(self._base, -math.inf)
        self._waited, self._validated = 0, False

    def on_train_begin(self, logs=None):
        """Forgets the epochs of an earlier `fit`."""
        check_tasks("base", self._base, self.model.output_names)
        self._restart()

    def columns(self):
        """Returns the name of what it writes."""
        return ["val_delta_m"]

    def written(self, epoch, logs):
        """Returns Δm of a validated epoch."""
        names = {f"val_{t}_{m}" for t, of in self._base.items() for m in of}
        # `RankingMetrics` has columns where Keras did not validate, too.
        if "val_loss" not in logs and not names <= set(logs):
            return {}
        self._validated = True
        scores = {
            task: {metric: _score(logs, task, metric) for metric in metrics}
            for task, metrics in self._base.items()
        }
        improved = False
        for task, score in scores.items():
            mine, theirs = {task: score}, {task: self._base[task]}
            change = delta_m(mine, theirs, self._higher_is_better)
            if change > self._best[task]:
                self._best[task], self.best_epoch[task] = change, epoch
                improved = True
        self._waited = 0 if improved else self._waited + 1
        if self._patience is not None and self._waited >= self._patience:
            self.model.stop_training = True
        return {
            "val_delta_m": delta_m(scores, self._base, self._higher_is_better)
        }

    def on_train_end(self, logs=None):
        """Warns if no epoch was validated."""
        if logs and not self._validated:
            warnings.warn(
                "DeltaM found no validation scores, and wrote nothing. Pass "
                "validation_data or validation_split to fit().",
                stacklevel=2,
            )


def _checked(base):
    if not isinstance(base, Mapping) or not all(
        isinstance(of_task, Mapping) for of_task in base.values()
    ):
        raise ValueError(
            "Argument `base` must be a dict from task name to a dict from "
            'metric to number, such as {"topic": {"accuracy": 0.8}}. '
            f"Received: base={base!r}"
        )
    for task, metrics in base.items():
        for metric, value in metrics.items():
            if not math.isfinite(value) or value == 0.0:
                raise ValueError(
                    "A relative change needs a base that is finite and not 0. "
                    f"Received: {value!r} for {metric!r} of task {task!r}"
                )
    return {task: dict(metrics) for task, metrics in base.items()}


def _score(logs, task, metric):
    name = f"val_{task}_{metric}"
    if name not in logs:
        mine = [n for n in logs if n.startswith(f"val_{task}_")]
        raise ValueError(
            f"DeltaM compares {metric!r} of task {task!r}, and an epoch has no "
            f"column {name!r}. Received: {mine}. Give compile() that metric, "
            f"or correct `base`.{did_you_mean(name, mine)}"
        )
    return float(logs[name])
