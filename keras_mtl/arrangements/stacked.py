"""Tasks stacked along the second axis: one head, labels and loss for all."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.arrangements.named import unlabelled
from keras_mtl.arrangements.stacked_losses import StackedLosses
from keras_mtl.arrangements.stacked_metrics import StackedMetrics
from keras_mtl.data.support_query import SupportQuery, support_query_split
from keras_mtl.tasks import check_tasks


class StackedTasks:
    """Arrays `(B, K)` or `(B, K, units)`, as `StackedHeads` predict them.

    It answers what `NamedTasks` does.

    Args:
        heads: `StackedHeads`.
    """

    can_separate = False
    # Each would be traced: the time to export would grow with the tasks.
    signatures = ()

    def __init__(self, heads):
        self.task_names = heads.task_names
        self.heads = heads
        self.head_layers = {"stack": heads}

    def losses(self, loss, loss_weights):
        """Returns the `StackedLosses` of `compile`'s arguments."""
        return StackedLosses(self.task_names, loss, loss_weights)

    def metrics(self, metrics, weighted_metrics):
        """Returns the `StackedMetrics` of `compile`'s arguments."""
        return StackedMetrics(self.task_names, metrics, weighted_metrics)

    def predict(self, representation, training):
        """Returns the predictions of all tasks."""
        return self.heads(representation, training=training)

    def by_name(self, outputs):
        """Returns a dict from task name to prediction, `(B, units)`."""
        if self.heads.units == 1:
            outputs = outputs[..., None]
        parts = tf.unstack(outputs, axis=1)
        return dict(zip(self.task_names, parts, strict=True))

    def check_batch(self, batch):
        """Returns `(x, y, sample_weight)` of a batch of stacked labels.

        Raises:
            ValueError: If labels or weights are not an array of all tasks, or
                inputs are named by task.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        if isinstance(x, Mapping) and set(x) & set(self.task_names):
            raise ValueError(
                "Stacked heads take the same inputs for every task. Received: "
                f"inputs for {list(x)}. Pass one x, or give MultiTaskModel a "
                "dict of heads."
            )
        if getattr(y, "shape", None) is None:
            raise ValueError(
                "Labels of stacked heads must be one array "
                f"{self._expected()}, in the order of the task names. "
                f"Received: {_described(y)}. In a data set, stack them by "
                "tf.stack([y[task] for task in model.task_names], axis=1)."
            )
        self._check_labels(tuple(y.shape), y.dtype)
        if sample_weight is not None:
            shape = getattr(sample_weight, "shape", None)
            self._check_weights(shape, sample_weight)
        return x, y, sample_weight

    def arrange(self, y, sample_weight):
        """Returns stacked arrays, also of dicts by task name."""
        if isinstance(y, Mapping):
            check_tasks("label", y, self.task_names, complete=True)
            y = self._stack("labels", y)
        if isinstance(sample_weight, Mapping):
            check_tasks("sample weight", sample_weight, self.task_names)
            ones = np.ones(len(y), "float32")
            sample_weight = self._stack(
                "sample weights",
                {**dict.fromkeys(self.task_names, ones), **sample_weight},
            )
        return y, sample_weight

    def complete(self, y, sample_weight):
        """Returns the weights as they are."""
        return sample_weight

    def check_numeric(self, y):
        """Raises if labels are texts."""
        dtype = getattr(y, "dtype", None)
        if isinstance(dtype, np.dtype) and dtype.kind in "USO":
            raise ValueError(
                "The stacked labels are not numbers. Received: an array of "
                f"{dtype}. Encode them, for example with "
                "keras.layers.StringLookup."
            )

    def check_labelled(self, sample_weight):
        """Raises if a task has no label at all."""
        shape = np.shape(sample_weight)
        if sample_weight is None or shape[1:] != (len(self.task_names),):
            return
        labelled = np.any(np.asarray(sample_weight), axis=0)
        for task, any_label in zip(self.task_names, labelled, strict=True):
            if not any_label:
                raise ValueError(unlabelled(task))

    def split(self, x, y, sample_weight, query_split):
        """Returns the `SupportQuery` of whole arrays, all tasks alike."""
        y = np.asarray(y)
        self._check_labels(y.shape, y.dtype)
        weights = None
        if sample_weight is not None:
            sample_weight = np.asarray(sample_weight)
            rows = sample_weight.reshape(len(sample_weight), -1)
            weights = self._columns(
                np.broadcast_to(rows, (len(rows), len(self.task_names)))
            )
        numbers = np.arange(len(y))
        sides = support_query_split(
            numbers, self._columns(y), weights, query_split=query_split
        )
        whole = (x, y, sample_weight)

        def take(rows):
            return keras.tree.map_structure(
                lambda a: None if a is None else np.asarray(a)[rows], whole
            )

        return SupportQuery(*(take(numbers) for numbers, *_ in sides))

    def _columns(self, array):
        columns = np.moveaxis(array, 1, 0)
        return dict(zip(self.task_names, columns, strict=True))

    def _stack(self, what, by_task):
        columns = []
        for task in self.task_names:
            column = np.asarray(by_task[task])
            if column.ndim == 2 and column.shape[1] == 1:
                column = column[:, 0]
            columns.append(column)
        shapes = {column.shape for column in columns}
        if len(shapes) > 1:
            raise ValueError(
                f"The {what} of stacked heads must have the same shape for "
                f"every task. Received: {sorted(shapes)}. Mask missing labels "
                "by sample weights of 0."
            )
        return np.stack(columns, axis=1)

    def _check_labels(self, shape, dtype):
        num_tasks, units = len(self.task_names), self.heads.units
        if tuple(shape[1:]) not in ((num_tasks,), (num_tasks, units)):
            raise ValueError(
                f"Labels of stacked heads must have the shape "
                f"{self._expected()}, in the order of the task names. "
                f"Received: {tuple(shape)} of "
                f"{keras.backend.standardize_dtype(dtype)}"
            )

    def _check_weights(self, shape, sample_weight):
        num_tasks = len(self.task_names)
        allowed = ((), (1,), (num_tasks,))
        if shape is None or tuple(shape[1:]) not in allowed:
            received = _described(sample_weight)
            raise ValueError(
                "Sample weights of stacked heads must be one array (B,) or "
                f"(B, {num_tasks}). Received: {received}"
            )

    def _expected(self):
        num_tasks, units = len(self.task_names), self.heads.units
        if units == 1:
            return f"(B, {num_tasks})"
        return f"(B, {num_tasks}, {units}), or (B, {num_tasks}) of integers"


def _described(given):
    if given is None:
        return "none"
    if isinstance(given, Mapping):
        return f"a dict of {list(given)}"
    return str(tuple(getattr(given, "shape", ()))) or repr(given)
