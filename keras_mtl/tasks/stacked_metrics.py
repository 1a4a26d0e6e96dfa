"""Metrics of stacked tasks, without an object for each."""

from collections.abc import Mapping

import keras
import tensorflow as tf

from keras_mtl import compat
from keras_mtl.tasks.masks import without_missing
from keras_mtl.tasks.own_rows import RowLabels, sum_by_task
from keras_mtl.tasks.stacked_counts import counts_of, histogram_of
from keras_mtl.tasks.stacked_losses import (
    check_one_per_task,
    per_task_axes,
    per_task_weight,
)
from keras_mtl.training.logs import METRICS, as_row, means_over_tasks


class StackedMetrics(keras.metrics.Metric):
    """Means over rows, of every task and metric, in one variable.

    `metrics` leave out rows whose label is missing, that is, whose sample
    weight is 0; `weighted_metrics` weigh rows by it.

    Args:
        task_names: Tuple of K strings.
        metrics: Names, functions or `keras.metrics.MeanMetricWrapper` of what
            is a mean of one value per row, or `AUC`, `Precision` or `Recall`;
            one list for all tasks, or `None`.
        weighted_metrics: The same.

    Raises:
        ValueError: If a dict is given, or, once labels are known, a metric
            that is neither.
    """

    # The metrics given are read, but not updated: theirs is no state of ours.
    @compat.no_automatic_dependency_tracking
    def __init__(self, task_names, metrics, weighted_metrics):
        super().__init__(name="compile_metrics")
        self._task_names = task_names
        self._given = [
            *((given, False) for given in _as_list("metrics", metrics)),
            *(
                (given, True)
                for given in _as_list("weighted_metrics", weighted_metrics)
            ),
        ]
        self._functions, self._counts = [], []
        self._sums, self._histograms = None, {}
        self.rows, self.means = {METRICS: ()}, {}
        self.built = not self._given

    def covers(self, labels) -> bool:
        """Whether the metrics of these labels are made."""
        return self.built

    def build(self, labels, outputs):
        """Makes the functions for these labels and predictions."""
        if self.built:
            return
        label, output = per_task_axes(labels, outputs)
        names = []
        for given, weighted in self._given:
            metric = compat.get_metric(given, label, output)
            counts = counts_of(metric)
            function = _function(metric) if counts is None else None
            name = metric.name
            if weighted and name in names:
                name = f"weighted_{name}"
            if name in ("loss", "weight"):
                raise ValueError(
                    f"A metric is called {name!r}, as a column of each task in "
                    "History is. Give the metric another name."
                )
            names.append(name)
            if counts is None:
                self._functions.append((name, function, weighted))
            else:
                self._counts.append((name, counts, weighted))
        num_tasks = len(self._task_names)
        self._sums = self.add_variable(
            (len(self._functions), 2, num_tasks), "zeros", name="sums"
        )
        for _, counts, weighted in self._counts:
            key = (*counts.histogram, weighted)
            if key not in self._histograms:
                shape = (len(counts.thresholds) + 1, 2, num_tasks)
                self._histograms[key] = (
                    counts,
                    self.add_variable(
                        shape,
                        "zeros",
                        name=f"histogram_{len(self._histograms)}",
                    ),
                )
        names = [name for name, *_ in (*self._functions, *self._counts)]
        self.rows = {
            METRICS: tuple(
                f"{t}_{name}" for name in names for t in self._task_names
            )
        }
        self.means = means_over_tasks(
            (name, t, f"{t}_{name}") for name in names for t in self._task_names
        )
        self.built = True

    def update_batch(self, batch):
        """Adds one batch, a `TaskGradients`."""
        self.update_state(batch.labels, batch.outputs, batch.sample_weight)

    def update_state(self, labels, outputs, sample_weight=None):
        """Adds one batch of stacked arrays."""
        if not self._given:
            return
        if not self.built:
            self.build(labels, outputs)
        label, output = per_task_axes(labels, outputs)
        weight = per_task_weight(sample_weight, labels)
        present = tf.ones([])
        if weight is not None:
            label = without_missing(label, weight)
            present = tf.cast(weight != 0.0, tf.float32)
        sums = []
        for name, function, weighted in self._functions:
            values = function(label, output)
            values = _per_task(name, values, outputs, labels)
            by = present if weight is None or not weighted else weight
            by = tf.broadcast_to(by, tf.shape(values))
            # The product with a missing label's infinite value would be NaN.
            values = tf.where(by != 0.0, values * by, 0.0)
            sums.append(tf.stack([values, by]))
        if sums:
            self._sums.assign_add(self._by_task(tf.stack(sums), labels))
        for (*_, weighted), (counts, total) in self._histograms.items():
            by = present if weight is None or not weighted else weight
            total.assign_add(
                histogram_of(
                    counts,
                    labels,
                    label,
                    output,
                    by,
                    len(self._task_names),
                )
            )

    def _by_task(self, values, labels):
        """Returns the sums over rows of `(n, 2, B, ...)`, `(n, 2, K)`."""
        if not isinstance(labels, RowLabels):
            return tf.reduce_sum(values, axis=2)
        num_tasks = len(self._task_names)
        rows = tf.transpose(values, [2, 0, 1])
        sums = sum_by_task(rows, labels.tasks, num_tasks)
        return tf.transpose(sums, [1, 2, 0])

    def logs(self):
        """Returns the row of results, for `StepLogs`."""
        if not self.rows[METRICS]:
            return {}
        totals, counts = tf.unstack(tf.convert_to_tensor(self._sums), axis=1)
        means = tf.math.divide_no_nan(totals, counts)
        row = [tf.where(counts > 0.0, means, float("nan"))]
        for _, counts, weighted in self._counts:
            _, total = self._histograms[(*counts.histogram, weighted)]
            row.append(counts.results(tf.convert_to_tensor(total)))
        return {METRICS: as_row(row)}

    def result(self):
        """Returns a dict from `<task>_<metric>` to scalar."""
        if not self.rows[METRICS]:
            return {}
        values = tf.unstack(self.logs()[METRICS][0])
        return dict(zip(self.rows[METRICS], values, strict=True))

    def save_own_variables(self, store):
        """Saves nothing: the means of an epoch end with it."""

    def load_own_variables(self, store):
        """Loads nothing."""


def _as_list(argument, given):
    if given is None:
        return []
    given = list(given) if isinstance(given, list | tuple) else [given]
    if any(isinstance(metric, Mapping) for metric in given):
        raise ValueError(
            f"Stacked heads have the same metrics for all tasks. Pass one list "
            f"as `{argument}`. Received: {argument}={given!r}"
        )
    return given


def _function(metric):
    if not isinstance(metric, keras.metrics.MeanMetricWrapper):
        raise ValueError(
            f"The metric {metric.name!r} is not a mean of one value per row, "
            "and cannot be taken of stacked tasks. Use metrics such as "
            "'accuracy', a loss, AUC, Precision, Recall, or a function of "
            "labels and predictions that reduces the last axis; compute others "
            "from predict(). Received: "
            f"{type(metric).__name__}"
        )
    function = compat.wrapped_function(metric)
    arguments = compat.wrapped_arguments(metric)
    if isinstance(function, keras.losses.Loss):
        function = function.call
    return lambda label, output: function(label, output, **arguments)


def _per_task(name, values, outputs, labels):
    """Returns a metric's values as `(B, K)` or `(B,)` float32."""
    values = tf.cast(values, tf.float32)
    rank = 1 if isinstance(labels, RowLabels) else 2
    if outputs.shape[1] == 1 and values.shape.rank < rank:
        values = values[:, None]  # Keras drops the axis of a single task.
    if values.shape.rank > rank:
        values = tf.reduce_mean(values, axis=range(rank, values.shape.rank))
    check_one_per_task("metric", name, values, outputs, labels)
    return values
