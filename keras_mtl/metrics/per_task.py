"""The metrics given to `compile`, by task."""

from collections.abc import Mapping

import tensorflow as tf
from keras.src.trainers.compile_utils import (
    CompileMetrics,
    MetricsList,
    get_metric,
)

from keras_mtl.logs import METRICS, as_row
from keras_mtl.tasks import check_tasks, presence, without_missing


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
