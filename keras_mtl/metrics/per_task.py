"""What a training run reports of its tasks."""

from collections.abc import Mapping

import keras
import tensorflow as tf
from keras.src.trainers.compile_utils import (
    CompileMetrics,
    MetricsList,
    get_metric,
)

from keras_mtl.logs import METRICS, as_row
from keras_mtl.tasks import check_tasks, presence, without_missing


class TaskMeans(keras.metrics.Metric):
    """Means of losses and weights over the steps of an epoch.

    Two variables hold them all: a metric object per task would cost a third
    of the step at 128 tasks. A skipped step counts in `skipped_steps` only.

    Args:
        task_names: Tuple of K strings.
        loss_weights: `(K,)` float32, the fixed weights.
        discriminates: Boolean, whether a task discriminator has a loss too.
    """

    def __init__(
        self, task_names, loss_weights, discriminates=False, name="loss"
    ):
        super().__init__(name=name)
        losses = [f"{task}_loss" for task in task_names]
        weights = [f"{task}_weight" for task in task_names]
        # Names of the entries of each row; no task's name has a slash.
        others = ["skipped_steps"]
        if discriminates:
            others.append("discriminator_loss")
        self.rows = {
            "/training": ("loss", *losses, *weights, *others),
            "/evaluation": ("loss", *losses),
        }
        self._loss_weights = loss_weights
        # Signals are global, so any replica holds the whole.
        whole = {"initializer": "zeros", "aggregation": "only_first_replica"}
        self._tasks = self.add_variable((3, len(task_names)), **whole)
        self._totals = self.add_variable((6,), **whole)

    def update_state(self, batch, weights=None, penalty=0.0, finite=True):
        """Adds one step.

        Args:
            batch: `TaskGradients`, for its losses, counts and rows.
            weights: `(K,)` float32, the weights used; 1 by default.
            penalty: Float scalar, the weighter's own loss.
            finite: Boolean scalar; if false, the step was skipped.
        """
        if weights is None:
            weights = tf.ones_like(batch.losses)
        weighted = tf.reduce_sum(self._loss_weights * weights * batch.losses)
        own = batch.regularisation
        tasks = [batch.losses * batch.counts, batch.counts, weights]
        totals = [
            (weighted + own + penalty) * batch.rows,
            own * batch.rows,
            batch.rows,
            1.0,
            0.0,
            batch.discriminator_loss * batch.rows,
        ]
        skipped = [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        self._tasks.assign_add(tf.where(finite, tf.stack(tasks), 0.0))
        self._totals.assign_add(tf.where(finite, tf.stack(totals), skipped))

    @property
    def steps(self) -> int:
        """How many steps were taken since the reset, skipped ones included."""
        return int(tf.reduce_sum(tf.convert_to_tensor(self._totals)[3:5]))

    def result(self):
        """Returns the means as a dict with the keys of History.

        The loss of a task that had no label is NaN.
        """
        (values,) = tf.unstack(self.training_logs()["/training"])
        names = self.rows["/training"]
        return dict(zip(names, tf.unstack(values), strict=True))

    def training_logs(self):
        """Returns the row of all means, for `StepLogs`."""
        totals = tf.unstack(self._totals.value)
        objective, _, rows, steps, skipped, discriminator = totals
        loss = tf.math.divide_no_nan(objective, rows)
        weights = self._tasks[2] / tf.maximum(steps, 1.0)
        losses = self._losses(float("nan"))
        row = [loss, losses, weights, skipped]
        if "discriminator_loss" in self.rows["/training"]:
            row.append(tf.math.divide_no_nan(discriminator, rows))
        return {"/training": as_row(row)}

    def evaluation_logs(self):
        """Returns the row of losses only, without the learned weights.

        Epochs compare: `loss` is the sum of the tasks' losses by their fixed
        weights, and the layers' own losses.
        """
        own = tf.math.divide_no_nan(self._totals[1], self._totals[2])
        total = tf.reduce_sum(self._loss_weights * self._losses(0.0))
        losses = self._losses(float("nan"))
        return {"/evaluation": as_row([total + own, losses])}

    def _losses(self, without_label):
        sums, counts, _ = tf.unstack(tf.convert_to_tensor(self._tasks))
        means = tf.math.divide_no_nan(sums, counts)
        return tf.where(counts > 0.0, means, without_label)

    def save_own_variables(self, store):
        """Saves nothing: the means of an epoch end with it."""

    def load_own_variables(self, store):
        """Loads nothing."""


class TaskMetrics(CompileMetrics):
    """The metrics given to `compile`, by task name.

    Unlike Keras' own, `metrics` leave out rows whose label is missing, that
    is, whose sample weight is 0.
    """

    def __init__(self, task_names, metrics, weighted_metrics):
        super().__init__(
            _by_task("metrics", metrics, task_names),
            _by_task("weighted_metrics", weighted_metrics, task_names),
            output_names=list(task_names),
        )
        self.rows = {}

    def build(self, labels, outputs):
        """Makes the metric objects for these labels and predictions."""
        given = self._user_metrics, self._user_weighted_metrics
        self._flat_metrics, self._flat_weighted_metrics = (
            [
                _metrics(by_task.get(task), labels[task], outputs[task], task)
                for task in self.output_names
            ]
            for by_task in given
        )
        self.built = True

    def logs(self):
        """Returns the results, for `StepLogs`."""
        results = {
            name: tf.convert_to_tensor(value)
            for name, value in self.result().items()
        }
        row = {
            name: value
            for name, value in results.items()
            if value.shape.rank == 0 and value.dtype == tf.float32
        }
        if not row:
            return results
        self.rows = {METRICS: tuple(row)}
        rest = {n: value for n, value in results.items() if n not in row}
        return {METRICS: as_row([*row.values()]), **rest}

    def update_batch(self, batch):
        """Adds one batch, a `TaskGradients`."""
        self.update_state(batch.labels, batch.outputs, batch.sample_weight)

    def update_state(self, labels, outputs, sample_weight=None):
        """Adds one batch, dicts by task name."""
        if not self.built:
            self.build(labels, outputs)
        sample_weight = sample_weight or {}
        for index, task in enumerate(self.output_names):
            label, output = labels[task], outputs[task]
            weight = presence(output, sample_weight.get(task))
            present = None
            if weight is not None:
                label = without_missing(label, weight)
                present = tf.cast(weight != 0.0, tf.float32)
            for metrics, by in (
                (self._flat_metrics[index], present),
                (self._flat_weighted_metrics[index], weight),
            ):
                if metrics:
                    metrics.update_state(label, output, by)


def _metrics(given, label, output, task):
    if given is None:
        return None
    given = given if isinstance(given, list | tuple) else [given]
    metrics = [get_metric(metric, label, output) for metric in given]
    return MetricsList(metrics, output_name=task)


def _by_task(argument, given, task_names):
    if given is None:
        return {}
    if isinstance(given, Mapping):
        check_tasks("metric", given, task_names)
        return dict(given)
    given = list(given) if isinstance(given, list | tuple) else [given]
    if len(task_names) > 1 and not all(isinstance(m, str) for m in given):
        raise ValueError(
            f"Argument `{argument}` must be a dict from task name to metrics, "
            "or names of metrics for every task; metric objects cannot be "
            f"shared. Received: {argument}={given!r}"
        )
    return {task: list(given) for task in task_names}
