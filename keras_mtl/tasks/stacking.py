"""Labels and weights by task name, stacked along the second axis."""

from collections.abc import Mapping

import keras
import numpy as np

from keras_mtl.checks import check_tasks
from keras_mtl.data.structures import as_structure, describe
from keras_mtl.tasks.loss_parts import is_nested


def stack(task_names, y, sample_weight) -> tuple:
    """Returns stacked labels and weights; arrays stay as they are.

    A task without labels gets zeros of weight 0.

    Args:
        task_names: Tuple of K strings.
        y: Array of all tasks, or dict from task name to labels.
        sample_weight: The same of weights, or `None`.

    Raises:
        ValueError: If names or shapes do not fit.
    """
    sample_weight = as_structure(sample_weight)
    if isinstance(y, Mapping):
        check_tasks("label", y, task_names)
        y = {t: as_structure(y[t]) for t in y if y[t] is not None}
        if not y or any(map(is_nested, y.values())):
            raise ValueError(
                "Labels of stacked heads must be an array for each task. "
                f"Received: {describe(y)}"
            )
        absent = [task for task in task_names if task not in y]
        if absent:
            y, sample_weight = _completed(y, sample_weight, absent)
        y = _stacked(task_names, "labels", y)
    if isinstance(sample_weight, Mapping):
        check_tasks("sample weight", sample_weight, task_names)
        ones = dict.fromkeys(task_names, np.ones(len(y), "float32"))
        sample_weight = _stacked(
            task_names, "sample weights", {**ones, **sample_weight}
        )
    return y, sample_weight


class StackedBatches:
    """Stacks the labels of each batch, which may be of some tasks only.

    Args:
        task_names: Tuple of K strings.
        batches: List of the first batches `(x, y, sample_weight)`.

    Attributes:
        labels: Dict from task name to labels, of those that have any.
    """

    def __init__(self, task_names, batches):
        self._names = task_names
        self.labels = {
            t: label for _, y, _ in batches for t, label in y.items()
        }

    def __call__(self, batch):
        """Returns `(x, y, sample_weight)` with weights `(B, K)`."""
        x, y, weights = keras.utils.unpack_x_y_sample_weight(tuple(batch))
        y, weights = stack(self._names, y, weights)
        whole = np.ones((len(y), len(self._names)), "float32")
        if weights is None:
            return x, y, whole
        weights = np.asarray(weights, "float32")
        return x, y, whole * weights.reshape(len(y), -1)


def _completed(y, sample_weight, absent):
    like = np.asarray(next(iter(y.values())))
    zeros = dict.fromkeys(absent, np.zeros(len(like), "float32"))
    if not isinstance(sample_weight, Mapping | type(None)):
        sample_weight = dict.fromkeys(y, sample_weight)
    return (
        {**y, **dict.fromkeys(absent, np.zeros_like(like))},
        {**(sample_weight or {}), **zeros},
    )


def _stacked(task_names, what, by_task):
    columns = []
    for task in task_names:
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
