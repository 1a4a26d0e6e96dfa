"""Per-task losses, with missing labels."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_mtl.checks import check_tasks, did_you_mean
from keras_mtl.tasks.loss_parts import (
    LossPart,
    at_path,
    is_dict,
    is_nested,
    leaves,
    loss_parts,
    outline,
    part_name,
)
from keras_mtl.tasks.loss_values import summed_loss
from keras_mtl.tasks.loss_weights import as_vector, fixed_weights


class TaskSums(NamedTuple):
    """One replica's share of the tasks' losses.

    A task's loss is the sum of `sums` over replicas, divided by that of
    `counts` where it is a mean.

    Attributes:
        sums: List of K float32 scalars, differentiable: `Σ_i s_i l_i`; or one
            `(K,)` tensor where tasks are stacked.
        counts: The same of the number of `s_i` that are not zero.
        divides: List of K booleans: whether the loss is a mean over the
            counts; a sum otherwise. One boolean where tasks are stacked.
    """

    sums: list[tf.Tensor] | tf.Tensor
    counts: list[tf.Tensor] | tf.Tensor
    divides: list[bool] | bool


class PartSums(NamedTuple):
    """The same where a task's loss is a weighted sum of P_k losses.

    Attributes:
        sums: List of P float32 scalars, those of all parts in task order.
        counts: The same of the number of weights that are not zero.
        divides: List of P booleans.
        owners: List of P integers in ascending order, each part's task.
        weights: List of P floats or variables.
    """

    sums: list[tf.Tensor]
    counts: list[tf.Tensor]
    divides: list[bool]
    owners: list[int]
    weights: list[Any]


class TaskLosses:
    """The loss function and fixed weight of each task.

    Args:
        output_names: Tuple of strings, the outputs in head order.
        loss: Dict from output to Keras loss, or one loss for all. A loss may
            be nested as the output is; see `loss_parts`.
        loss_weights: Dict from output to float, variable, or those of the
            parts of its loss; `None` for 1.

    Attributes:
        task_names: Tuple of K strings, the outputs that have a loss.
        loss: Dict from task to loss.

    Raises:
        ValueError: If the names do not match, there is no loss, or a weight
            is negative.
    """

    def __init__(self, output_names, loss, loss_weights=None):
        if loss is None:
            raise ValueError(
                "compile() needs a loss for each task. Pass loss={task: loss}. "
                f"Tasks: {list(output_names)}."
            )
        if isinstance(loss, list | tuple):
            raise ValueError(
                "Argument `loss` must be a dict from task name to loss, or one "
                f"loss for every task. Received: a {type(loss).__name__} of "
                f"{len(loss)}. Pass loss={{{output_names[0]!r}: ...}}, with a "
                "list there for the sum of several losses."
            )
        if not is_dict(loss):
            loss = dict.fromkeys(output_names, loss)
        check_tasks("loss", loss, output_names)
        self.loss = {
            task: loss[task]
            for task in output_names
            if any(part is not None for _, part in leaves(loss.get(task)))
        }
        if not self.loss:
            raise ValueError(
                "No task has a loss. Pass loss={task: loss} for one of the "
                f"outputs {list(output_names)}."
            )
        for task, nested in self.loss.items():
            _check_known(task, nested)
        self.task_names = tuple(self.loss)
        self._weights = fixed_weights(loss_weights, self.task_names)
        self._seen = {}

    @property
    def loss_weights(self) -> tf.Tensor:
        """`(K,)` float32, 1 for a task whose loss has weights within."""
        return as_vector(
            [1.0 if is_nested(w) else w for w in self._weights.values()]
        )

    @property
    def kinds(self) -> dict[str, str]:
        """Each task's kind, `"classification"` or `"regression"`."""
        return {
            task: _kind_of_parts(nested) for task, nested in self.loss.items()
        }

    def loss_at(self, task, path):
        """Returns the loss of one tensor, `None` without or for several."""
        loss = at_path(self.loss.get(task), path)
        return None if is_nested(loss) else loss

    def __call__(
        self, labels, outputs, sample_weight=None
    ) -> TaskSums | PartSums:
        """Sums each task's losses over this replica's rows.

        Args:
            labels: Dict from task name to labels, nested as predictions are.
                A task without is absent.
            outputs: Dict from task name to predictions.
            sample_weight: Dict from task name to weights or `None`; 0 where
                a label is missing. Weights of rows are those of all parts.

        Returns:
            `TaskSums`, or `PartSums` if a task has several losses.

        Raises:
            ValueError: If labels do not fit the predictions, or a loss that
                returns a scalar is to be masked.
        """
        given = sample_weight or {}
        parts, sums = self._parts(outputs), []
        for task, of_task in parts.items():
            label, output = labels.get(task), outputs.get(task)
            weight = given.get(task)
            check_nested(task, "labels", label, output)
            check_nested(task, "sample weights", weight, output)
            sums += [_sum(task, p, label, output, weight) for p in of_task]
        sums = map(list, zip(*sums, strict=True))
        if _single(parts):
            return TaskSums(*sums)
        return PartSums(*sums, *_owners(parts))

    def layout(self, outputs) -> tuple | None:
        """Returns how the losses of the parts make those of the tasks.

        Args:
            outputs: Dict from task name to predictions.

        Returns:
            `None` if each task has one loss; else lists of P: the number of
            each part's task, its weight, and its name or `None`.
        """
        parts = self._parts(outputs)
        if _single(parts):
            return None
        names = [
            part_name(task, part.path) if part.path else None
            for task, of_task in parts.items()
            for part in of_task
        ]
        # Several losses of one tensor have no name of their own.
        names = [name if names.count(name) == 1 else None for name in names]
        return *_owners(parts), names

    def _parts(self, outputs):
        """Returns the `LossPart`s of each task, as last seen if absent."""
        for task, loss in self.loss.items():
            if outputs.get(task) is not None:
                weight = self._weights[task]
                weight = weight if is_nested(weight) else 1.0
                self._seen[task] = loss_parts(task, loss, weight, outputs[task])
        alone = [LossPart((), None, 1.0)]
        return {task: self._seen.get(task, alone) for task in self.task_names}


def _sum(task, part, label, output, weight):
    if output is None:
        return tf.constant(0.0), tf.constant(0.0), True
    path = part.path
    label, output = at_path(label, path), at_path(output, path)
    if label is None:
        # Of the output, so that its gradients are zeros, not unconnected.
        none = tf.where(tf.zeros_like(output, "bool"), output, 0)
        return tf.reduce_sum(tf.cast(none, "float32")), tf.constant(0.0), True
    name, weight = part_name(task, path), at_path(weight, path)
    return summed_loss(name, part.loss, label, output, weight)


def _single(parts):
    """Whether each task has one loss, of weight 1 within the task."""
    return all(
        len(of_task) == 1
        and isinstance(of_task[0].weight, int | float)
        and of_task[0].weight == 1.0
        for of_task in parts.values()
    )


def _owners(parts):
    """Returns the number of each part's task, and its weight."""
    pairs = [
        (number, part.weight)
        for number, of_task in enumerate(parts.values())
        for part in of_task
    ]
    return map(list, zip(*pairs, strict=True))


def sum_of_parts(losses, owners, weights) -> tf.Tensor:
    """Returns each task's weighted sum of the `(P,)` losses of its parts."""
    # XLA knows the unsorted kind only.
    return tf.math.unsorted_segment_sum(
        losses * as_vector(weights), owners, max(owners) + 1
    )


def largest_of_parts(values, owners) -> tf.Tensor:
    """Returns each task's largest of the `(P,)` values of its parts."""
    return tf.math.unsorted_segment_max(values, owners, max(owners) + 1)


def check_nested(task, what, given, output):
    """Raises unless labels or weights are nested as predictions are.

    Parts may be missing; weights of rows may stand for all parts.
    """
    if given is None or output is None:
        return
    if not is_nested(given):
        fits = what != "labels" or not is_nested(output)
    else:
        fits = is_nested(output) and is_dict(given) == is_dict(output)
        if fits and not is_dict(given):
            fits = len(given) == len(output)
    if not fits:
        raise ValueError(
            f"The {what} of task {task!r} are not nested as its predictions "
            f"are. Expected: {outline(output)}. Received: {outline(given)}"
        )
    if not is_nested(given):
        return
    for key in given if is_dict(given) else range(len(given)):
        if is_dict(output) and key not in output:
            raise ValueError(
                f"Task {task!r} has {what} for {key!r}, but predicts no "
                f"tensor of that name. Predictions: {list(output)}."
                f"{did_you_mean(key, output)}"
            )
        check_nested(part_name(task, (key,)), what, given[key], output[key])


def loss_kind(loss) -> str:
    """Returns `"classification"` or `"regression"`, by the loss's name."""
    name = loss if isinstance(loss, str) else getattr(loss, "name", None)
    name = str(name or getattr(loss, "__name__", type(loss).__name__)).lower()
    signs = ("entropy", "hinge", "dice", "tversky", "_ce")
    classifies = name == "ce" or name.endswith(signs)
    return "classification" if classifies else "regression"


def _kind_of_parts(nested):
    kinds = {loss_kind(loss) for _, loss in leaves(nested) if loss is not None}
    return kinds.pop() if len(kinds) == 1 else "regression"


def _check_known(task, nested):
    """Raises if a name is no loss of Keras."""
    for path, loss in leaves(nested):
        if isinstance(loss, str) and loss.lower() not in ("crossentropy", "ce"):
            try:
                keras.losses.get(loss)
            except ValueError as error:
                raise ValueError(
                    f"The loss of task {part_name(task, path)!r} is no loss of "
                    f"Keras. Received: {loss!r}. {error}"
                ) from error
