"""Tasks stacked along the second axis: one head, labels and loss for all."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.tasks.held_out import HeldOutRows
from keras_mtl.tasks.named import unlabelled
from keras_mtl.tasks.own_rows import (
    Owners,
    RowLabels,
    check_dtype,
    checked_ids,
    has_ids,
    split_ends,
    take_rows,
    without_rows,
)
from keras_mtl.tasks.stacked_checks import (
    check_labels,
    check_rows,
    check_weights,
    described,
    expected,
)
from keras_mtl.tasks.stacked_losses import StackedLosses
from keras_mtl.tasks.stacked_metrics import StackedMetrics
from keras_mtl.tasks.stacking import StackedBatches, stack


class StackedTasks(HeldOutRows):
    """Arrays `(B, K)` or `(B, K, units)`, as `StackedHeads` predict them.

    It answers what `NamedTasks` does.

    Args:
        heads: `StackedHeads`.
    """

    can_separate = False
    # Each would be traced: the time to export would grow with the tasks.
    signatures = ()

    def __init__(self, heads):
        self.output_names = self.task_names = heads.task_names
        self.heads = heads
        self.head_layers = {"stack": heads}

    def losses(self, loss, loss_weights):
        """Returns the `StackedLosses` of `compile`'s arguments."""
        return StackedLosses(self.task_names, loss, loss_weights)

    def metrics(self, metrics, weighted_metrics, losses):
        """Returns the `StackedMetrics` of `compile`'s arguments."""
        return StackedMetrics(self.task_names, metrics, weighted_metrics)

    def take_ids(self, inputs):
        """Returns the encoder's inputs, and each row's task or `None`."""
        if has_ids(inputs):
            return inputs["inputs"], inputs["task"]
        return inputs, None

    def predict(self, representation, training, task=None):
        """Returns the predictions of all tasks, or each row's own."""
        return self.heads(representation, task=task, training=training)

    def labels(self, inputs, labels):
        """Returns the labels, with their rows' tasks where there are any."""
        _, task = self.take_ids(inputs)
        if task is None:
            return labels
        return RowLabels(labels, keras.ops.cast(task, "int32"))

    def owners(self, inputs):
        """Returns which task reads which part of the representation alone.

        `None` where all tasks read all of it.
        """
        _, task = self.take_ids(inputs)
        if task is not None:
            return Owners(tf.cast(task, tf.int32), axis=0)
        if self.heads.apart:
            return Owners(tf.range(len(self.task_names)), axis=1)
        return None

    def own_rows(self, x, task=None):
        """Returns inputs of arrays, each row's task beside them if given.

        Args:
            x: Inputs, or `{"inputs": ..., "task": ids}`.
            task: Integers or names of each row's task, or `None`.

        Raises:
            ValueError: If tasks are given twice, or are not usable.
        """
        if task is not None:
            arrays = not isinstance(x, tf.data.Dataset | keras.utils.PyDataset)
            if has_ids(x) or not arrays or not hasattr(task, "__len__"):
                raise ValueError(
                    "Argument `task` gives each row of arrays its task. "
                    f"Received: {type(task).__name__}, with inputs "
                    f"{described(x)}. A data set has the tasks in its "
                    'batches, x = {"inputs": ..., "task": ids}.'
                )
            x = {"inputs": x, "task": task}
        if not has_ids(x) or isinstance(x["task"], keras.KerasTensor):
            return x
        ids = checked_ids(x["task"], x["inputs"], self.heads)
        return {"inputs": x["inputs"], "task": ids}

    def split_end(self, x, y, sample_weight, share):
        """Returns all arrays without each task's last rows, and these.

        `None` where all tasks have the same rows.
        """
        if not has_ids(x):
            return None
        arrays = (x, y, sample_weight)
        sides = split_ends(x["task"], self.task_names, share)
        return [take_rows(arrays, numbers) for numbers in sides]

    def by_unit(self, outputs):
        """Returns a dict of the one tensor of all predictions."""
        return {"stack": outputs}

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
        if has_ids(x):
            check_dtype(x["task"].dtype)
            check_rows(self.heads, y, sample_weight, x["task"])
            return x, y, sample_weight
        if isinstance(x, Mapping) and set(x) & set(self.task_names):
            raise ValueError(
                "Stacked heads take the same inputs for every task. Received: "
                f"inputs for {list(x)}. Pass one x, or rows of their own as "
                'x = {"inputs": ..., "task": ids}, or give MultiTaskModel a '
                "dict of heads."
            )
        if getattr(y, "shape", None) is None:
            raise ValueError(
                "Labels of stacked heads must be one array "
                f"{expected(self.heads)}, in the order of the task names. "
                f"Received: {described(y)}. In a data set, stack them by "
                "tf.stack([y[task] for task in model.task_names], axis=1)."
            )
        check_labels(self.heads, tuple(y.shape), y.dtype)
        if sample_weight is not None:
            check_weights(self.heads, sample_weight)
        return x, y, sample_weight

    def is_by_task(self, structure) -> bool:
        """Whether it is a dict by task name: stacked arrays are none."""
        return False

    def arrange(self, y, sample_weight):
        """Returns stacked arrays, also of dicts by task name."""
        return stack(self.task_names, y, sample_weight)

    def completion(self, batches, separate):
        """Returns what stacks the labels of batches made in Python."""
        return StackedBatches(self.task_names, batches)

    def complete(self, y, sample_weight):
        """Returns the weights as they are."""
        return sample_weight

    def check_nesting(self, model, y, sample_weight):
        """Checks nothing: stacked arrays are not nested."""

    def owner_of_row(self, x):
        """Returns a function from row to task, `None` if rows are of all."""
        if not has_ids(x):
            return None
        return lambda row: self.task_names[x["task"][row]]

    def without_rows(self, x):
        """Returns the tasks that no row belongs to, if each is of one task."""
        if not has_ids(x):
            return []
        return without_rows(x["task"], self.task_names)

    def columns(self, x, y, sample_weight, once=True):
        """Yields task, path, labels and weights of each task.

        Where rows belong to one task each, all rows: for every task, or
        `once`, of no task.
        """
        dtype = getattr(y, "dtype", None)
        if isinstance(dtype, np.dtype) and dtype.kind in "USO":
            raise ValueError(
                "The stacked labels are not numbers. Received: an array of "
                f"{dtype}. Encode them, for example with "
                "keras.layers.StringLookup."
            )
        self.check_batch((x, y, sample_weight))
        if has_ids(x):
            for task in ["stacked"] if once else self.task_names:
                yield task, (), y, sample_weight
            return
        wide = len(np.shape(sample_weight)) > 1 and sample_weight.shape[1] > 1
        for number, task in enumerate(self.task_names):
            weight = sample_weight
            if wide:
                weight = sample_weight[:, number]
            yield task, (), y[:, number], weight

    def reweighted(self, x, y, sample_weight, factors):
        """Returns sample weights that are multiplied by others.

        `(B, K)`, or `(B,)` where rows belong to one task each.

        Args:
            x: Inputs.
            y: Stacked labels.
            sample_weight: Stacked weights, or `None`.
            factors: Dict from task and path to weights `(B,)`.
        """
        ones = tf.ones(tf.shape(y)[:1])
        if has_ids(x):
            stacked, given = ones, sample_weight
            for number, task in enumerate(self.task_names):
                factor = factors.get((task, ()))
                if factor is not None:
                    stacked = tf.where(x["task"] == number, factor, stacked)
            if given is not None:
                stacked *= tf.reshape(tf.cast(given, "float32"), [-1])
        else:
            stacked = tf.stack(
                [factors.get((task, ()), ones) for task in self.task_names],
                axis=1,
            )
            if sample_weight is not None:
                given = tf.cast(sample_weight, "float32")
                stacked *= given[:, None] if given.shape.rank == 1 else given
        return stacked.numpy() if isinstance(y, np.ndarray) else stacked

    def symbolic_output(self, model, task, path):
        """Returns the `KerasTensor` of a task's predictions `(B, units)`."""
        return keras.KerasTensor((None, self.heads.units))

    def check_labelled(self, sample_weight, absent):
        """Raises if a task has no label at all, unless it is `absent`."""
        shape = np.shape(sample_weight)
        if sample_weight is None or shape[1:] != (len(self.task_names),):
            return
        labelled = np.any(np.asarray(sample_weight), axis=0)
        for task, any_label in zip(self.task_names, labelled, strict=True):
            if not any_label and task not in absent:
                raise ValueError(unlabelled(task))

    def _columns(self, array):
        columns = np.moveaxis(array, 1, 0)
        return dict(zip(self.task_names, columns, strict=True))
