"""Tasks in dicts by name: a head, labels and a loss for each."""

from collections.abc import Mapping

import keras
import numpy as np

from keras_mtl.checks import task_name
from keras_mtl.data.support_query import support_query_split
from keras_mtl.metrics import TaskMetrics
from keras_mtl.tasks import TaskLosses, check_tasks


class NamedTasks:
    """Dicts by task name.

    Args:
        heads: Dict from task name to layer or model.

    Attributes:
        task_names: Tuple of K strings, in head order.
        heads: Dict from task name to head.
        head_layers: The same: dict from a name to each layer that holds
            heads.
        signatures: Names of the tasks to export alone.
        can_separate: Whether tasks may have inputs of their own.

    Raises:
        ValueError: If a name or layer is not usable.
    """

    can_separate = True

    def __init__(self, heads):
        _check_heads(heads)
        self.task_names = self.signatures = tuple(heads)
        self.heads = self.head_layers = dict(heads)

    def losses(self, loss, loss_weights):
        """Returns the `TaskLosses` of `compile`'s arguments."""
        return TaskLosses(self.task_names, loss, loss_weights)

    def metrics(self, metrics, weighted_metrics):
        """Returns the `TaskMetrics` of `compile`'s arguments."""
        return TaskMetrics(self.task_names, metrics, weighted_metrics)

    def take_ids(self, inputs):
        """Returns the inputs, and `None`: tasks are told by name."""
        return inputs, None

    def labels(self, inputs, labels):
        """Returns the labels as they are."""
        return labels

    def owners(self, inputs):
        """Returns `None`: no task has a part of a common representation."""
        return None

    def own_rows(self, x, task=None):
        """Returns the inputs; raises if each row is given a task."""
        if task is None:
            return x
        raise ValueError(
            "Argument `task` gives each row to one of keras_mtl.layers."
            "StackedHeads. The model has a dict of heads. Pass inputs of their "
            "own as x = {task: inputs}."
        )

    def split_end(self, x, y, sample_weight, share):
        """Returns `None`: rows do not belong to one task each."""
        return None

    def predict(self, representation, training, task=None):
        """Returns a dict of predictions from one representation for all."""
        return {
            task: head(representation, training=training)
            for task, head in self.heads.items()
        }

    def by_name(self, outputs):
        """Returns a dict from task name to prediction."""
        return outputs

    def check_batch(self, batch):
        """Returns `(x, y, sample_weight)` of a batch, named by task.

        Raises:
            ValueError: If labels, weights or separate inputs are not named by
                task, or a task has none.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        names = self.task_names
        if not isinstance(y, Mapping):
            raise ValueError(
                "Labels must be a dict from task name to array. Received: "
                f"{'no labels' if y is None else y!r}. Pass y={{task: labels}} "
                f"for the tasks {list(names)}."
            )
        check_tasks("label", y, names, complete=True)
        if sample_weight is not None and not isinstance(sample_weight, Mapping):
            raise ValueError(
                "Sample weights must be a dict from task name to array. "
                f"Received: {sample_weight!r}"
            )
        check_tasks("sample weight", sample_weight or {}, names)
        if isinstance(x, Mapping) and set(x) & set(names):
            check_tasks("input", x, names, complete=True)
        return x, y, sample_weight

    def arrange(self, y, sample_weight):
        """Returns labels and weights by task; one array is of all tasks."""
        by_task = sample_weight is None or isinstance(sample_weight, Mapping)
        if not by_task and isinstance(y, Mapping):
            sample_weight = dict.fromkeys(y, sample_weight)
        return y, sample_weight

    def complete(self, y, sample_weight):
        """Returns weights for every task, as Keras asks; 1 by default."""
        if sample_weight is None or not isinstance(y, Mapping):
            return sample_weight
        check_tasks("sample weight", sample_weight, self.task_names)
        ones = {
            task: np.ones(len(np.asarray(label)), "float32")
            for task, label in y.items()
        }
        return {**ones, **sample_weight}

    def check_numeric(self, y):
        """Raises if labels are texts."""
        for task, label in y.items() if isinstance(y, Mapping) else ():
            dtype = np.asarray(label).dtype
            if dtype.kind in "USO":
                raise ValueError(
                    f"Task {task!r} has labels that are not numbers. Received: "
                    f"an array of {dtype}. Encode them, for example with "
                    "keras.layers.StringLookup."
                )

    def check_labelled(self, sample_weight):
        """Raises if a task has no label at all."""
        if not isinstance(sample_weight, Mapping):
            return
        for task, weight in sample_weight.items():
            if weight is not None and not np.any(np.asarray(weight)):
                raise ValueError(unlabelled(task))

    def split(self, x, y, sample_weight, query_split):
        """Returns the `SupportQuery` of whole arrays."""
        return support_query_split(x, y, sample_weight, query_split=query_split)


def unlabelled(task) -> str:
    """Returns the message for a task whose sample weights are all 0."""
    return (
        f"Task {task!r} has no label in the training set: all its sample "
        "weights are 0. Give it labels, or leave it out of the model."
    )


def _check_heads(heads):
    if not isinstance(heads, dict) or not heads:
        raise ValueError(
            "Argument `heads` must be a dict with at least one entry, from "
            "task name to layer, or keras_mtl.layers.StackedHeads. Received: "
            f"heads={heads!r}"
        )
    for task, head in heads.items():
        task_name(task)
        if not isinstance(head, keras.layers.Layer):
            raise ValueError(
                f"The head of task {task!r} must be a Keras layer or model. "
                f"Received: {head!r} (of type {type(head).__name__})"
            )
