"""Metrics by task name, over the rows that have a label."""

import keras
import tensorflow as tf

from keras_mtl import compat
from keras_mtl.checks import check_tasks
from keras_mtl.metrics.alignment import made_for, update_aligned
from keras_mtl.metrics.names import check_names, own_name
from keras_mtl.tasks.loss_parts import at_path, is_dict, leaves, part_name
from keras_mtl.tasks.loss_values import is_of_keras, takes_class_numbers
from keras_mtl.tasks.masks import masked, presence, without_missing
from keras_mtl.training.logs import METRICS, as_row, means_over_tasks

# What Keras resolves by the shapes of labels and predictions.
BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")


class TaskMetrics(compat.CompileMetrics):
    """The metrics given to `compile`, by task name.

    Unlike Keras' own, `metrics` leave out rows whose label is missing, that
    is, whose sample weight is 0; `weighted_metrics` weigh rows by it. Those of
    a task that had no label are NaN.

    Example:

    >>> model.compile("sgd", "mse", metrics={"topic": ["mae"]})
    >>> sorted(model.evaluate(x, y, return_dict=True, verbose=0))
    ['loss', 'tone_loss', 'topic_loss', 'topic_mae']

    Args:
        output_names: Tuple of strings, in head order.
        metrics: Dict from output to metrics, nested as predictions are, or
            names of metrics for every task that has a loss.
        weighted_metrics: The same.
        losses: `TaskLosses`.

    Raises:
        ValueError: If the names do not match, or metric objects would serve
            several tasks.
    """

    output_names: list

    def __init__(self, output_names, metrics, weighted_metrics, losses):
        super().__init__(
            _by_task("metrics", metrics, output_names, losses.task_names),
            _by_task(
                "weighted_metrics",
                weighted_metrics,
                output_names,
                losses.task_names,
            ),
            output_names=list(output_names),
        )
        self._losses = losses
        self._places, self._waiting, self._ignored = [], [], {}
        self._flat_metrics, self._flat_weighted_metrics = [], []
        self._labelled = None
        self.rows, self.means = {}, {}

    def covers(self, labels) -> bool:
        """Whether the metrics of these labels are made."""
        return self.built and not any(
            at_path(labels.get(task), path) is not None
            for task, path in self._waiting
        )

    def build(self, labels, outputs):
        """Makes the metric objects for these labels and predictions.

        A task's without labels wait, if their kind depends on the labels.
        """
        self._waiting, known = [], len(self._places)
        for task in self.output_names:
            if outputs.get(task) is None and self._has_metrics(task):
                self._waiting.append((task, ()))
            for path, output in leaves(outputs.get(task)):
                if output is not None and (task, path) not in self._places:
                    self._add(task, path, labels.get(task), output)
        if len(self._places) > known:
            shape = (len(self._places),)
            self._labelled = self.add_variable(shape, "zeros", "float32")
            check_names(self.names(), self._losses.task_names)
        self.built = True

    def _has_metrics(self, task):
        return bool(
            self._user_metrics.get(task)
            or self._user_weighted_metrics.get(task)
        )

    def _add(self, task, path, label, output):
        given = [
            _at(by_task.get(task), path)
            for by_task in (self._user_metrics, self._user_weighted_metrics)
        ]
        if not any(given):
            return
        label = at_path(label, path)
        loss = self._loss(task, path, label, output)
        self._ignored[task, path] = compat.wrapped_arguments(loss).get(
            "ignore_class"
        )
        if label is None:
            names = (str(m).lower() for of in given for m in of)
            if any(n in BY_SHAPE for n in names) and not (
                loss is not None and is_of_keras(loss)
            ):
                self._waiting.append((task, path))
                return
            label = output
            if takes_class_numbers(loss):
                label = keras.KerasTensor(output.shape[:-1], "int32")
        name = part_name(task, path)
        weighted = compat.MetricsList([], output_name=name)
        plain = compat.MetricsList([], output_name=name)
        for metrics, of in zip((plain, weighted), given, strict=True):
            for metric in of:
                metrics.metrics.append(made_for(metric, label, output))
        self._flat_metrics.append(plain)
        self._flat_weighted_metrics.append(weighted)
        self._places.append((task, path))

    def _loss(self, task, path, label, output):
        """Returns the loss object at a place, if there is one."""
        loss = self._losses.loss_at(task, path)
        if loss is None:
            return None
        return compat.get_loss(loss, output if label is None else label, output)

    def names(self) -> list[str]:
        """Returns the name of each metric, in the order of History."""
        names = []
        for metrics in (*self._flat_metrics, *self._flat_weighted_metrics):
            for metric in metrics.metrics:
                own = own_name(metric)
                name = f"{metrics.output_name}_{own}"
                if name in names and metrics in self._flat_weighted_metrics:
                    name = f"{metrics.output_name}_weighted_{own}"
                count = sum(n.startswith(name) for n in names)
                names.append(f"{name}_{count}" if name in names else name)
        return names

    def _means(self, columns):
        """Returns the columns of each metric that several tasks have."""
        names, found = iter(self.names()), []
        for of_places in (self._flat_metrics, self._flat_weighted_metrics):
            for (task, _), metrics in zip(self._places, of_places, strict=True):
                for _ in metrics.metrics:
                    name = next(names)
                    own = name.removeprefix(f"{metrics.output_name}_")
                    found.append((own, task, name))
        return means_over_tasks(f for f in found if f[2] in columns)

    @property
    def variables(self):
        """All variables of the metrics."""
        own = [] if self._labelled is None else [self._labelled]
        return [*super().variables, *own]

    def reset_state(self):
        """Starts a new epoch."""
        super().reset_state()
        if self._labelled is not None:
            self._labelled.assign(tf.zeros_like(self._labelled))

    def result(self):
        """Returns a dict from `<task>_<metric>` to its value.

        A metric whose result is a dict has an entry for each of its keys.
        """
        names = iter(self.names())
        if self._labelled is None:
            return {}
        labelled = tf.unstack(tf.convert_to_tensor(self._labelled) > 0.0)
        return {
            name: tf.where(any_label, value, tf.cast(float("nan"), value.dtype))
            for of_places in (self._flat_metrics, self._flat_weighted_metrics)
            for metrics, any_label in zip(of_places, labelled, strict=True)
            for metric in metrics.metrics
            for name, value in _results(next(names), metric)
        }

    def logs(self):
        """Returns the results, for `StepLogs`."""
        results = self.result()
        row = {
            name: value
            for name, value in results.items()
            if value.shape.rank == 0 and value.dtype == tf.float32
        }
        if not row:
            return results
        self.rows = {METRICS: tuple(row)}
        self.means = self._means(row)
        rest = {n: value for n, value in results.items() if n not in row}
        return {METRICS: as_row([*row.values()]), **rest}

    def update_batch(self, batch):
        """Adds one batch, a `TaskGradients`."""
        self.update_state(batch.labels, batch.outputs, batch.sample_weight)

    def update_state(self, labels, outputs, sample_weight=None):
        """Adds one batch, dicts by task name."""
        if not self.covers(labels):
            self.build(labels, outputs)
        labelled = [
            self._update(number, labels, outputs, sample_weight or {})
            for number in range(len(self._places))
        ]
        if labelled:
            self._labelled.assign_add(tf.stack(labelled))

    def _update(self, number, labels, outputs, sample_weight):
        """Adds the labels of one place; returns whether there were any."""
        task, path = self._places[number]
        label, output, weight = (
            at_path(part.get(task), path)
            for part in (labels, outputs, sample_weight)
        )
        if label is None or output is None:
            return 0.0
        weight = presence(output, weight)
        ignored = self._ignored[task, path]
        if ignored is not None:
            mask = tf.not_equal(label, tf.cast(ignored, label.dtype))
            weight = masked(weight, mask)
        present = None
        if weight is not None:
            label = without_missing(label, weight)
            present = tf.cast(weight != 0.0, tf.float32)
        name = part_name(task, path)
        for of_places, by in (
            (self._flat_metrics, present),
            (self._flat_weighted_metrics, weight),
        ):
            for metric in of_places[number].metrics:
                whole = by is present
                update_aligned(name, metric, label, output, by, whole)
        if present is None:
            return 1.0
        # Not the maximum, which is minus infinity where there are no rows.
        return tf.cast(tf.reduce_any(present > 0.0), tf.float32)


def _results(name, metric):
    """Yields name and value of what a metric measures."""
    result = metric.result()
    parts = result.items() if is_dict(result) else [(None, result)]
    for key, value in parts:
        own = name if key is None else part_name(name, (key,))
        yield own, tf.convert_to_tensor(value)


def _at(given, path):
    """Returns the list of metrics of the part at `path`."""
    for key in path:
        if is_dict(given):
            given = given.get(key)
        elif (
            isinstance(given, list | tuple)
            and isinstance(key, int)
            and any(m is None or isinstance(m, list | tuple) for m in given)
        ):
            given = given[key] if key < len(given) else None
    if given is None:
        return []
    return list(given) if isinstance(given, list | tuple) else [given]


def _by_task(argument, given, output_names, task_names):
    if given is None:
        return {}
    if is_dict(given):
        check_tasks("metric", given, output_names)
        return dict(given)
    given = list(given) if isinstance(given, list | tuple) else [given]
    if len(output_names) > 1 and not all(isinstance(m, str) for m in given):
        raise ValueError(
            f"Argument `{argument}` must be a dict from task name to metrics, "
            "or names of metrics for every task; metric objects cannot be "
            f"shared. Received: {argument}={given!r}"
        )
    return {task: list(given) for task in task_names}
