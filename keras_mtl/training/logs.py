"""Logs of a step: few tensors, which get their names where they are read."""

import functools
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.gradients import roles
from keras_mtl.training.stepping import steps_function

# The row that the compiled metrics fill; no name of a log has a slash.
METRICS = "/metrics"
# The row of metrics that layers update by themselves.
LAYERS = "/layers"


class StepLogs(Mapping):
    """Values by name, unfolded from rows of them when first read.

    Every tensor that a compiled step returns costs time in each step; at
    hundreds of tasks a scalar for each would cost more than the step.

    Args:
        tensors: Dict from a name to a tensor; the name of a row is a key of
            `rows`.
        rows: Dict from the name of a row to the names of its entries.
        means: Dict from the name of a mean over tasks to the names of its
            entries; NaN, of a task without labels, is left out.
    """

    def __init__(self, tensors, rows, means=None):
        self._tensors = tensors
        self._rows = rows
        self._means = means or {}
        self._read = None

    def __len__(self):
        return len(self._values())

    def __iter__(self):
        return iter(self._values())

    def __getitem__(self, name):
        return self._values()[name]

    def _values(self):
        if self._read is None:
            values = {}
            for name, tensor in self._tensors.items():
                if name in self._rows:
                    numbers = np.ravel(tensor).tolist()
                    values |= zip(self._rows[name], numbers, strict=True)
                else:
                    values[name] = tensor
            for mean, names in self._means.items():
                if mean not in values and values.keys() >= set(names):
                    values[mean] = nan_mean([values[n] for n in names])
            self._read = values
        return self._read


class LoggingModel(keras.Model):
    """A model whose `train_step` and `test_step` return `step_logs`."""

    # Names of the metrics in the row `LAYERS`, as the latest step found them.
    layer_metric_names: tuple[str, ...] = ()
    # What was missing or not finite in the latest epoch; `None` where a
    # `train_step` of the user's own reports none.
    epoch_faults = None

    def step_logs(self, training):
        """Returns the tensors of `StepLogs`.

        Args:
            training: Boolean; an evaluation logs no learned weights.
        """
        means = self._loss_tracker
        row = means.running_logs() if training else means.evaluation_logs()
        return {**self._layer_logs(), **row, **self._compile_metrics.logs()}

    def _layer_logs(self):
        """Returns the metrics of encoder and heads, as Keras names them."""
        compiled = (self._loss_tracker, self._compile_metrics)
        values = {}
        for metric in self.metrics:
            if not any(metric is own for own in compiled):
                result = metric.result()
                nested = isinstance(result, Mapping)
                values |= result if nested else {metric.name: result}
        values = {n: tf.convert_to_tensor(v) for n, v in values.items()}
        scalars = {n: v for n, v in values.items() if v.shape.rank == 0}
        self.layer_metric_names = tuple(scalars)
        others = {n: v for n, v in values.items() if n not in scalars}
        if not scalars:
            return others
        row = [tf.cast(value, "float32") for value in scalars.values()]
        return {LAYERS: as_row(row), **others}

    def evaluation_names(self) -> list[str]:
        """Returns the names of what `evaluate` returns."""
        return list(self._named(self.step_logs(training=False)))

    def _named(self, tensors):
        rows = {
            LAYERS: self.layer_metric_names,
            **self._loss_tracker.rows,
            **self._compile_metrics.rows,
        }
        return StepLogs(tensors, rows, self._compile_metrics.means)

    def _own_means(self):
        """Returns the names of means that no task's metric is called."""
        metrics = self._compile_metrics
        return metrics.means.keys() - set(metrics.rows.get(METRICS, ()))

    def step_variants(self, step_function):
        """Returns a step that holds weights, and when to take it.

        `None` where there is but one kind of step.
        """
        if step_function != self.train_step or self.weighter.due is None:
            return None
        held = functools.partial(self.train_step, holds=True)
        return held, lambda: tf.logical_not(self.weighter.due)

    def _make_function(self, step_function):
        if step_function == self.train_step:
            roles.check_reach(self)  # To evaluate, nothing need train.
        strategy = self.distribute_strategy
        variants = self.step_variants(step_function)
        if strategy.num_replicas_in_sync == 1 and variants is None:
            function = super()._make_function(step_function)
        else:
            function = steps_function(
                strategy,
                step_function,
                self.steps_per_execution,
                self.run_eagerly,
                variants,
                self.jit_compile,
            )
        return lambda iterator: self._named(function(iterator))

    def _get_metrics_result_or_logs(self, logs):
        if not self._loss_tracker.steps:  # Of a step that is the user's own.
            return plain_logs(logs)
        # Keras compares keys; an evaluation has fewer than a training epoch.
        trained = "skipped_steps" in logs
        tensors = self.step_logs(trained)
        if trained:
            tensors |= self._loss_tracker.training_logs()
            # A validation, which may follow, begins with a reset.
            self.epoch_faults = self._loss_tracker.faults()
        results = self._named(tensors)
        return plain_logs({n: results.get(n, logs[n]) for n in logs})

    def _flatten_metrics_in_order(self, logs):
        # Keras' order: loss, tasks' losses, other metrics; then what is ours.
        # Means over tasks have no place in it: `return_dict=True` has them.
        logs = {n: v for n, v in logs.items() if n not in self._own_means()}
        means = self._loss_tracker.rows
        losses = [n for n in means["/evaluation"] if n in logs]
        ours = [n for n in means["/training"] if n in logs and n not in losses]
        rest = sorted(set(logs) - {*losses, *ours})
        return [logs[name] for name in (*losses, *rest, *ours)]


def as_row(values) -> tf.Tensor:
    """Returns a row for `StepLogs`, `(1, N)`.

    Workers that train in step average logs over their first axis.

    Args:
        values: List of float32 tensors.
    """
    return tf.concat([tf.reshape(value, [1, -1]) for value in values], axis=1)


def nan_mean(values) -> float:
    """Returns the mean of the values that are not NaN, NaN of none."""
    values = np.asarray(values, "float64")
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")


def means_over_tasks(columns) -> dict[str, list[str]]:
    """Returns the columns of each metric that several tasks have.

    Args:
        columns: Iterable of a metric's own name, its task and its column.

    Returns:
        Dict from `mean_<metric>` to names of columns.
    """
    tasks, found = {}, {}
    for metric, task, column in columns:
        tasks.setdefault(metric, set()).add(task)
        found.setdefault(metric, []).append(column)
    return {f"mean_{m}": found[m] for m in found if len(tasks[m]) > 1}


def plain_logs(logs):
    """Returns the logs as Python numbers, or arrays where they are not."""
    values = {name: np.asarray(value) for name, value in logs.items()}
    return {n: v.item() if v.ndim == 0 else v for n, v in values.items()}
