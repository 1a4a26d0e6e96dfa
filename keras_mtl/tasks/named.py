"""Tasks in dicts by name: a head, labels and a loss for each."""

from collections.abc import Mapping

import keras
import numpy as np

from keras_mtl.checks import task_name
from keras_mtl.data.completion import Completion
from keras_mtl.data.rotation import rotations
from keras_mtl.data.structures import (
    by_task,
    multiplied,
    nested_like,
    without_none,
)
from keras_mtl.data.support_query import check_rows, support_query_split
from keras_mtl.metrics import TaskMetrics
from keras_mtl.tasks.loss_parts import (
    at_path,
    is_dict,
    is_nested,
    leaves,
    part_name,
)
from keras_mtl.tasks.task_losses import TaskLosses, check_nested


class Heads(dict):
    """Heads by task name, as the model was made: others would not be trained.

    Raises:
        TypeError: If a head is to be set or taken away.
    """

    def __setitem__(self, task, head):
        raise TypeError(
            "The heads of a model cannot be changed. Make another one with the "
            "same encoder: MultiTaskModel(model.encoder, {**model.heads, "
            f"{task!r}: head}})"
        )

    def __delitem__(self, task):
        self[task] = None

    def pop(self, task, *default):
        """Refuses, as setting one does."""
        self[task] = default

    def update(self, *heads, **named):
        """Refuses, as setting one does."""
        for task, head in dict(*heads, **named).items():
            self[task] = head

    def __reduce__(self):
        return dict, (dict(self),)


class NamedTasks:
    """Dicts by task name.

    Args:
        heads: Dict from task name to layer or model.

    Attributes:
        output_names: Tuple of strings, in head order.
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
        self.output_names = self.signatures = tuple(heads)
        self.heads = self.head_layers = Heads(heads)

    def losses(self, loss, loss_weights):
        """Returns the `TaskLosses` of `compile`'s arguments."""
        return TaskLosses(self.output_names, loss, loss_weights)

    def metrics(self, metrics, weighted_metrics, losses):
        """Returns the `TaskMetrics` of `compile`'s arguments."""
        return TaskMetrics(self.output_names, metrics, weighted_metrics, losses)

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

    def by_unit(self, outputs):
        """Returns a dict from task name to prediction."""
        return outputs

    def by_name(self, outputs):
        """Returns a dict from task name to prediction, as it is exported.

        That of a head that predicts several tensors has one for each,
        `<task>_<part>`.
        """
        return {
            part_name(task, path): tensor
            for task, nested in outputs.items()
            for path, tensor in leaves(nested)
        }

    def check_nesting(self, model, y, sample_weight):
        """Raises unless labels and weights are nested as predictions are."""
        for task, output in (model.output_structure or {}).items():
            weight = (sample_weight or {}).get(task)
            check_nested(task, "labels", y.get(task), output)
            check_nested(task, "sample weights", weight, output)

    def is_by_task(self, structure) -> bool:
        """Whether it is a dict by task name."""
        return isinstance(structure, dict) and set(structure) <= set(
            self.output_names
        )

    def check_batch(self, batch):
        """Returns `(x, y, sample_weight)` of a batch, named by task.

        Raises:
            ValueError: If labels or weights are not named by task, or there
                are no labels.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        y, sample_weight = self.arrange(y, sample_weight)
        if not y:
            raise ValueError(
                "Labels must be a dict from task name to array. Received: "
                "'no labels'. Pass y={task: labels} for the tasks "
                f"{list(self.output_names)}."
            )
        return x, y, sample_weight

    def arrange(self, y, sample_weight):
        """Returns labels and weights by task; one array is of all tasks.

        Raises:
            ValueError: If they are not named by task.
        """
        return by_task(self.output_names, y, sample_weight)

    def completion(self, batches, separate):
        """Returns what gives batches made in Python the same tasks."""
        return Completion(self.output_names, batches, separate)

    def complete(self, y, sample_weight):
        """Returns weights nested as labels, as Keras asks; `None` for none."""
        if sample_weight is None or not isinstance(y, Mapping):
            return sample_weight
        weights = {
            task: nested_like(label, sample_weight.get(task))
            for task, label in y.items()
        }
        return weights if without_none(weights) else None

    def owner_of_row(self, x):
        """Returns `None`: rows do not belong to one task each."""
        return None

    def without_rows(self, x):
        """Returns no task: rows do not belong to one task each."""
        return []

    def columns(self, x, y, sample_weight, once=True):
        """Yields task, path, labels and weights of each array of labels."""
        for task, nested in y.items():
            for path, label in leaves(nested):
                if label is not None:
                    weight = at_path((sample_weight or {}).get(task), path)
                    yield task, path, label, weight

    def reweighted(self, x, y, sample_weight, factors):
        """Returns sample weights that are multiplied by others.

        Args:
            x: Inputs.
            y: Dict of labels.
            sample_weight: Dict of weights, or `None`.
            factors: Dict from task and path to weights.
        """

        def nest(task, label, path=()):
            if not is_nested(label):
                own = at_path((sample_weight or {}).get(task), path)
                factor = factors.get((task, path))
                return own if factor is None else multiplied(own, factor)
            keys = label if is_dict(label) else range(len(label))
            parts = {k: nest(task, label[k], (*path, k)) for k in keys}
            return parts if is_dict(label) else tuple(parts.values())

        return {task: nest(task, label) for task, label in y.items()}

    def symbolic_output(self, model, task, path):
        """Returns the `KerasTensor` of a prediction, or `None`."""
        known = model.output_structure or {}
        return at_path(known.get(task), path)

    def check_labelled(self, sample_weight, absent):
        """Raises if a task has no label at all, unless it is `absent`."""
        if not isinstance(sample_weight, Mapping):
            return
        for task, nested in sample_weight.items():
            weights = [w for _, w in leaves(nested)]
            if all(
                w is not None and not np.any(np.asarray(w)) for w in weights
            ):
                raise ValueError(unlabelled(task))

    def split(self, x, y, sample_weight, query_split, separate):
        """Returns the `SupportQuery` of whole arrays."""
        return support_query_split(
            x, y, sample_weight, query_split, separate=separate
        )

    def rotations(self, x, y, sample_weight, query_split, separate):
        """Returns the `Rotation` of each task's rows."""
        for task, labels in y.items():
            own = x[task] if separate else x
            check_rows(task, own, labels, (sample_weight or {}).get(task))
        return rotations(y, sample_weight, query_split, 0, separate)


def unlabelled(task) -> str:
    """Returns the message for a task whose sample weights are all 0."""
    return (
        f"Task {task!r} has no label in the training set: all its sample "
        "weights are 0. Give it labels, or leave it out of `y`."
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
