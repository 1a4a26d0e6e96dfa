"""Weights of classes, as weights of the rows that belong to them."""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from keras_mtl import compat
from keras_mtl.checks import at_least, check_tasks
from keras_mtl.data.structures import is_concrete
from keras_mtl.tasks.loss_parts import at_path, part_name
from keras_mtl.tasks.loss_values import takes_class_numbers


def refuse_plain(model, class_weight):
    """Raises unless class weights are given by task, or none are.

    Raises:
        ValueError: If they are not `{task: {class: weight}}`.
    """
    if class_weight is None:
        return
    names = model.output_names
    by_task = isinstance(class_weight, Mapping) and all(
        isinstance(weights, Mapping) for weights in class_weight.values()
    )
    if not by_task:
        raise ValueError(
            "Argument `class_weight` must be a dict from task name to the "
            "weights of its classes, since each task has classes of its own. "
            f"Received: class_weight={class_weight!r}. Pass "
            f"class_weight={{{names[0]!r}: {class_weight!r}}}."
        )
    check_tasks("class weight", class_weight, names)


def by_class(model, x, y, sample_weight, class_weight):
    """Returns sample weights times those of the classes of the labels.

    Args:
        model: `MultiTaskModel`.
        x: Inputs.
        y: Labels, as the model's arrangement has them.
        sample_weight: Weights alike, or `None`.
        class_weight: Dict from task to a dict from class to weight, nested as
            labels are; a class without weighs 1.

    Returns:
        Weights, those of class numbers in the shape of the labels, and those
        of one-hot labels without the last axis.
    """
    factors = {}
    columns = model.arrangement.columns(x, y, sample_weight, once=False)
    for task, path, label, _ in columns:
        weights = at_path(class_weight.get(task), path)
        if weights:
            name = part_name(task, path)
            loss = model.task_losses.loss_at(task, path)
            factors[task, path] = _factors(name, label, weights, loss)
    return model.arrangement.reweighted(x, y, sample_weight, factors)


def _factors(name, label, weights, loss):
    classes = _classes(name, label, loss)
    factors = tf.ones(tf.shape(classes))
    for number, weight in weights.items():
        if isinstance(number, bool) or not isinstance(number, int | np.integer):
            raise ValueError(
                f"The class weights of task {name!r} must be a dict from the "
                f"number of a class to its weight. Received: {weights!r}"
            )
        weight = at_least(f"class_weight[{name!r}][{number}]", weight, 0.0)
        factors = tf.where(classes == int(number), weight, factors)
    return factors.numpy() if is_concrete(label) else factors


def _classes(name, label, loss):
    """Returns the numbers of the classes of labels."""
    concrete = is_concrete(label)
    label = tf.convert_to_tensor(label)
    if label.dtype.is_floating:
        # Of a missing label, which has weight 0 anyway.
        label = tf.where(tf.math.is_nan(label), tf.zeros_like(label), label)
    wide = label.shape.rank > 1 and label.shape[-1] != 1
    if wide and not takes_class_numbers(_object(loss)):
        if concrete and not _are_one_hot(label):
            raise ValueError(
                f"The labels of task {name!r} belong to several classes at "
                f"once. Received: labels {tuple(label.shape)}. Weigh them by "
                "sample_weight={task: weights}, with a weight for each label."
            )
        return tf.argmax(label, axis=-1, output_type=tf.int32)
    if label.shape.rank > 1 and not wide:
        label = label[..., 0]
    if label.dtype.is_floating:
        label = tf.round(label)
    return tf.cast(label, tf.int32)


def _are_one_hot(label):
    label = label.numpy()
    return bool(np.all(np.count_nonzero(label, axis=-1) <= 1))


def _object(loss):
    """Returns a loss object; `None` for what depends on the labels."""
    if loss is None or str(loss).lower() in ("crossentropy", "ce"):
        return None
    label = keras.KerasTensor((None,))
    return compat.get_loss(loss, label, label)
