"""Fixed weights of the tasks' losses: numbers, or variables that move."""

from collections.abc import Mapping

import keras
import tensorflow as tf

from keras_mtl.checks import at_least, check_tasks
from keras_mtl.tasks.loss_parts import leaves, part_name


def fixed_weights(weights, task_names) -> dict:
    """Returns `compile`'s loss weights by task, 1 by default.

    Args:
        weights: Dict from task name to float, variable, or nested ones, for
            some or all tasks; or `None`.
        task_names: Tuple of K strings.

    Raises:
        ValueError: If a weight is negative or not finite, or of no task.
    """
    if weights is None:
        weights = {}
    if not isinstance(weights, Mapping):
        raise ValueError(
            "Argument `loss_weights` must be a dict from task name to "
            f"float. Received: loss_weights={weights!r}"
        )
    check_tasks("loss weight", weights, task_names, "loss")
    for task, nested in weights.items():
        for path, weight in leaves(nested):
            _check_weight(part_name(task, path), weight)
    return {
        task: 1.0 if weights.get(task) is None else weights[task]
        for task in task_names
    }


def is_variable(weight) -> bool:
    """Whether a loss weight is to be read anew in each step."""
    return isinstance(weight, keras.Variable | tf.Variable)


def as_vector(weights) -> tf.Tensor:
    """Returns weights, floats or variables, as a float32 vector."""
    if any(map(is_variable, weights)):
        return tf.stack([tf.cast(w, tf.float32) for w in weights])
    return tf.constant([float(w) for w in weights], "float32")


def as_floats(weights):
    """Returns nested loss weights with the values that variables have now."""
    return keras.tree.map_structure(
        lambda w: float(tf.convert_to_tensor(w)) if is_variable(w) else w,
        weights,
    )


def _check_weight(name, weight):
    if is_variable(weight):
        if len(weight.shape):
            raise ValueError(
                f"Argument `loss_weights[{name!r}]` must be a scalar variable. "
                f"Received: one of shape {tuple(weight.shape)}"
            )
        weight = float(tf.convert_to_tensor(weight))
    if weight is not None:
        at_least(f"loss_weights[{name!r}]", weight, 0.0)
