"""Per-task losses, with missing labels."""

from collections.abc import Mapping
from typing import NamedTuple

import keras
import tensorflow as tf
from keras.src.trainers.compile_utils import get_loss

from keras_mtl.checks import at_least, did_you_mean


class TaskSums(NamedTuple):
    """One replica's share of the tasks' losses.

    A task's loss is the sum of `sums` over replicas, divided by that of
    `counts` where it is a mean.

    Args:
        sums: List of K float32 scalars, differentiable: `Σ_i s_i l_i`; or one
            `(K,)` tensor where tasks are stacked.
        counts: The same of the number of `s_i` that are not zero.
        divides: List of K booleans: whether the loss is a mean over the
            counts; a sum otherwise. One boolean where tasks are stacked.
    """

    sums: list[tf.Tensor] | tf.Tensor
    counts: list[tf.Tensor] | tf.Tensor
    divides: list[bool] | bool


class TaskLosses:
    """The loss function and fixed weight of each task.

    Args:
        task_names: Tuple of K strings, in head order.
        loss: Dict from task name to Keras loss, or one loss for all tasks.
        loss_weights: Dict from task name to float, or `None` for 1.

    Raises:
        ValueError: If the names do not match, or a weight is negative.
    """

    def __init__(self, task_names, loss, loss_weights=None):
        self.task_names = task_names
        if loss is None:
            raise ValueError(
                "compile() needs a loss for each task. Pass loss={task: loss}. "
                f"Tasks: {list(task_names)}."
            )
        if not isinstance(loss, Mapping):
            loss = dict.fromkeys(task_names, loss)
        check_tasks("loss", loss, task_names, complete=True)
        self.loss = {task: loss[task] for task in task_names}
        weights = loss_weights or {}
        if not isinstance(weights, Mapping):
            raise ValueError(
                "Argument `loss_weights` must be a dict from task name to "
                f"float. Received: loss_weights={loss_weights!r}"
            )
        check_tasks("loss weight", weights, task_names)
        self.loss_weights = fixed_weights(weights, task_names)

    @property
    def kinds(self) -> dict[str, str]:
        """Each task's kind, `"classification"` or `"regression"`."""
        return {task: loss_kind(loss) for task, loss in self.loss.items()}

    def __call__(self, labels, outputs, sample_weight=None) -> TaskSums:
        """Sums each task's losses over this replica's rows.

        Args:
            labels: Dict from task name to labels.
            outputs: Dict from task name to predictions.
            sample_weight: Dict from task name to weights or `None`; 0 where
                a label is missing.

        Returns:
            `TaskSums`.

        Raises:
            ValueError: If labels do not fit the predictions, or a loss that
                returns a scalar is to be masked.
        """
        weights = sample_weight or {}
        triples = [
            self._sum(task, labels[task], outputs[task], weights.get(task))
            for task in self.task_names
        ]
        return TaskSums(*map(list, zip(*triples, strict=True)))

    def _sum(self, task, label, output, weight):
        weight = presence(output, weight)
        if weight is not None:
            label = without_missing(label, weight)
        loss = get_loss(self.loss[task], label, output)
        values = self._values(task, loss, label, output)
        if values.shape.rank == 0:
            if weight is not None:
                raise ValueError(
                    f"The loss of task {task!r} returns a scalar, which "
                    "cannot be masked where labels are missing. Return one "
                    "value per row, or drop the sample weights."
                )
            rows = tf.cast(tf.shape(output)[0], tf.float32)
            return values * rows, rows, True
        if weight is not None:
            weight = align(weight, values, task)
        return weighted_sums(values, weight, loss.reduction)

    def _values(self, task, loss, label, output):
        shapes = f"labels {_shape(label)}, predictions {_shape(output)}"
        if label.dtype == tf.string:
            raise ValueError(
                f"Task {task!r} has text labels. Encode them as numbers, for "
                f"example with keras.layers.StringLookup. Received: {shapes}"
            )
        if _broadcasts(loss, label.shape, output.shape):
            raise ValueError(
                f"The labels of task {task!r} do not have the shape of its "
                f"predictions. Received: {shapes}, loss {loss.name!r}"
            )
        try:
            values = loss.call(
                tf.cast(label, loss.dtype), tf.cast(output, loss.dtype)
            )
        except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
            raise ValueError(
                f"The loss {loss.name!r} of task {task!r} does not fit its "
                f"labels or predictions. Received: {shapes}. {error}"
            ) from error
        return tf.cast(values, tf.float32)


def fixed_weights(weights, task_names) -> tf.Tensor:
    """Returns `compile`'s loss weights as `(K,)` float32, 1 by default.

    Args:
        weights: Dict from task name to float, for some or all tasks.
        task_names: Tuple of K strings.

    Raises:
        ValueError: If a weight is negative or not finite.
    """
    return tf.constant(
        [
            at_least(f"loss_weights[{task!r}]", weights.get(task, 1.0), 0.0)
            for task in task_names
        ],
        "float32",
    )


def check_tasks(what, given, task_names, complete=False):
    """Raises if the keys of `given` are not task names, or not all of them."""
    for task in given:
        if task not in task_names:
            raise ValueError(
                f"Task {task!r} has a {what} but the model has no head of "
                f"that name. Heads: {list(task_names)}."
                f"{did_you_mean(task, task_names)}"
            )
    missing = [task for task in task_names if task not in given]
    if complete and missing:
        raise ValueError(
            f"The model has heads for the tasks {missing}, which have no "
            f"{what}. Received: {what} for {list(given)}."
        )


def weighted_sums(values, weight, reduction, axis=None):
    """Returns sums and counts over `axis`, and whether the loss is a mean.

    Args:
        values: Float32 tensor, one loss value per row.
        weight: Float32 tensor that broadcasts to it, 0 where a label is
            missing, or `None`.
        reduction: String, that of the Keras loss.
        axis: Integer; all axes by default.
    """
    divides = reduction != "sum"
    if weight is None:
        counted = tf.ones_like(values)
    else:
        weight = tf.broadcast_to(weight, tf.shape(values))
        counted = tf.cast(weight != 0.0, tf.float32)
        if reduction == "mean_with_sample_weight":
            counted = weight
        # The product with a missing label's infinite loss would be NaN.
        values = tf.where(weight != 0.0, values * weight, 0.0)
    sums, counts = (tf.reduce_sum(v, axis=axis) for v in (values, counted))
    return sums, counts, divides


def presence(output, weight):
    """Returns float32 sample weights with Keras' mask applied, or `None`."""
    if weight is not None:
        weight = tf.cast(weight, tf.float32)
    mask = getattr(output, "_keras_mask", None)
    if mask is None:
        return weight
    mask = tf.cast(mask, tf.float32)
    return mask if weight is None else align(weight, mask, None) * mask


def without_missing(label, weight):
    """Returns labels with 0 where the weight is 0: NaN and -1 do no harm."""
    label = tf.convert_to_tensor(label)
    weight = _squeezed(weight, label)
    if label.dtype == tf.string or weight.shape.rank > label.shape.rank:
        return label
    present = align(weight, label, None) != 0.0
    return tf.where(present, label, tf.zeros_like(label))


def align(weight, values, task):
    """Returns `weight` with as many axes as `values`, to broadcast."""
    weight = _squeezed(weight, values)
    if weight.shape.rank > values.shape.rank:
        raise ValueError(
            f"The sample weights of task {task!r} have more axes than its "
            f"loss values. Expected: at most {values.shape}. Received: "
            f"{weight.shape}"
        )
    missing = values.shape.rank - weight.shape.rank
    return weight[(..., *[None] * missing)]


def _squeezed(weight, values):
    """Returns `weight` without last axes of length 1 that `values` lack."""
    while weight.shape.rank > values.shape.rank and weight.shape[-1] == 1:
        weight = weight[..., 0]
    return weight


def _broadcasts(loss, label_shape, output_shape):
    """Whether a Keras loss would silently stretch one against the other."""
    name = type(loss).__name__ + getattr(loss, "name", "")
    if not type(loss).__module__.startswith("keras.") or "parse" in name:
        return False
    if getattr(loss, "fn", None) and not loss.fn.__module__.startswith(
        "keras."
    ):
        return False
    if (label_shape.rank, output_shape.rank) == (1, 2):
        # Keras takes (B,) for (B, 1), and would stretch it to (B, units).
        return output_shape[-1] not in (1, None)
    if label_shape.rank != output_shape.rank:
        return False
    pairs = zip(label_shape, output_shape, strict=True)
    return any(a != b for a, b in pairs if a is not None and b is not None)


def loss_kind(loss) -> str:
    """Returns `"classification"` or `"regression"`, by the loss's name."""
    name = loss if isinstance(loss, str) else getattr(loss, "name", None)
    name = str(name or getattr(loss, "__name__", type(loss).__name__)).lower()
    signs = ("entropy", "hinge", "dice", "tversky", "_ce")
    classifies = name == "ce" or name.endswith(signs)
    return "classification" if classifies else "regression"


def _shape(tensor):
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    return f"{tuple(tensor.shape)} of {dtype}"
