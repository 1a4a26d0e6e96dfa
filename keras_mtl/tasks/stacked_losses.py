"""One loss function for stacked tasks."""

from collections.abc import Mapping

import tensorflow as tf
from keras import ops

from keras_mtl import compat
from keras_mtl.checks import check_tasks
from keras_mtl.tasks.loss_values import called, reduces_itself
from keras_mtl.tasks.loss_weights import as_vector, fixed_weights
from keras_mtl.tasks.masks import masked, weighted_sums, without_missing
from keras_mtl.tasks.own_rows import RowLabels, sum_by_task
from keras_mtl.tasks.task_losses import TaskSums, loss_kind


class StackedLosses:
    """The loss function of all tasks, and each one's fixed weight.

    Args:
        task_names: Tuple of K strings, in the order of the labels.
        loss: Keras loss; its `call` reduces the last axis only.
        loss_weights: Dict from task name to float, or K floats; `None` for 1.

    Raises:
        ValueError: If the names do not match, or a weight is negative.
    """

    def __init__(self, task_names, loss, loss_weights=None):
        self.task_names = task_names
        if loss is None or isinstance(loss, Mapping | list | tuple):
            raise ValueError(
                "Stacked heads have one loss for all tasks. Pass a loss or its "
                f"name to compile(). Received: loss={loss!r}"
            )
        self.loss = loss
        weights = _by_name(loss_weights, task_names)
        self._weights = fixed_weights(weights, task_names)

    @property
    def loss_weights(self) -> tf.Tensor:
        """`(K,)` float32."""
        return as_vector(self._weights.values())

    def layout(self, outputs) -> None:
        """Returns `None`: each task has one loss."""

    def loss_at(self, task, path):
        """Returns the loss of a task: that of all."""
        return self.loss

    @property
    def kinds(self) -> dict[str, str]:
        """Each task's kind, `"classification"` or `"regression"`."""
        return dict.fromkeys(self.task_names, loss_kind(self.loss))

    def __call__(self, labels, outputs, sample_weight=None) -> TaskSums:
        """Sums each task's losses over this replica's rows.

        Args:
            labels: `(B, K)` or `(B, K, units)`, or `RowLabels`.
            outputs: `(B, K)` or `(B, K, units)`, or `(B, units)` of rows that
                belong to one task each.
            sample_weight: `(B,)` or `(B, K)`, 0 where a label is missing, or
                `None`.

        Returns:
            `TaskSums` of `(K,)` tensors.

        Raises:
            ValueError: If the loss does not fit labels or predictions, or
                does not give one value for each task.
        """
        label, output = per_task_axes(labels, outputs)
        weight = per_task_weight(sample_weight, labels)
        if weight is not None:
            label = without_missing(label, weight)
        loss = compat.get_loss(self.loss, label, output)
        if reduces_itself(loss):
            raise ValueError(
                f"The loss {loss.name!r} overrides `__call__`, and stacked "
                "heads need one value for each task and row. Override `call`."
            )
        shapes = f"labels {label.shape}, predictions {outputs.shape}"
        values = called(loss, label, output, "the stacked tasks", shapes)
        check_one_per_task("loss", loss.name, values, outputs, labels)
        weight = masked(weight, compat.mask_of(values))
        values = tf.cast(values, tf.float32)
        if not isinstance(labels, RowLabels):
            found = weighted_sums(values, weight, loss.reduction, axis=0)
            return TaskSums(*found)
        *both, divides = weighted_sums(values, weight, loss.reduction, axis=())
        num_tasks = len(self.task_names)
        both = sum_by_task(tf.stack(both, axis=1), labels.tasks, num_tasks)
        return TaskSums(*tf.unstack(both, axis=1), divides)


def per_task_axes(labels, outputs):
    """Returns labels and outputs whose last axis is that of one task's units.

    Keras' losses and metrics reduce the last axis; `(B, K)` becomes
    `(B, K, 1)`, and labels `(B,)` of rows of one unit `(B, 1)`.
    """
    if isinstance(labels, RowLabels):
        values = labels.values
        if len(values.shape) == 1 and outputs.shape[-1] == 1:
            values = ops.expand_dims(values, -1)
        return values, outputs
    if len(outputs.shape) == 2:
        outputs = ops.expand_dims(outputs, -1)
        if len(labels.shape) == 2:
            labels = ops.expand_dims(labels, -1)
    return labels, outputs


def per_task_weight(sample_weight, labels):
    """Returns float32 weights `(B, 1)` or `(B, K)`, or `None`.

    Those of rows that belong to one task each are `(B,)`.
    """
    if sample_weight is None:
        return None
    weight = tf.cast(sample_weight, tf.float32)
    # Where weights of both kinds came before, Keras does not know the rank.
    if isinstance(labels, RowLabels):
        return tf.reshape(weight, [-1])
    return tf.reshape(weight, [tf.shape(weight)[0], -1])


def check_one_per_task(what, name, values, outputs, labels):
    """Raises unless `values` are `(B, K)`, or `(B,)` of rows of one task."""
    rank = 1 if isinstance(labels, RowLabels) else 2
    expected = tf.TensorShape(outputs.shape[:rank])
    shape = values.shape
    if shape.rank != rank or not expected.is_compatible_with(shape):
        raise ValueError(
            f"The {what} {name!r} does not give one value for each task and "
            f"row. Expected, for predictions {outputs.shape}: {expected}. "
            f"Received: {values.shape}. With stacked heads it must reduce the "
            "last axis, the units of a task, and no other."
        )


def _by_name(loss_weights, task_names):
    if loss_weights is None:
        return {}
    if isinstance(loss_weights, Mapping):
        check_tasks("loss weight", loss_weights, task_names)
        return loss_weights
    values = list(loss_weights) if hasattr(loss_weights, "__len__") else []
    if len(values) != len(task_names):
        raise ValueError(
            "Argument `loss_weights` must be a dict from task name to float, "
            f"or have one entry for each of the {len(task_names)} tasks. "
            f"Received: loss_weights={loss_weights!r}"
        )
    return dict(zip(task_names, values, strict=True))
