"""Nested labels and weights: as arrays, alike, and described in errors."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from keras_mtl.checks import check_tasks
from keras_mtl.tasks.loss_parts import at_path, is_nested, outline
from keras_mtl.tasks.masks import align


def as_structure(tree):
    """Returns nested labels with dicts and tuples around arrays.

    Args:
        tree: Array, tensor or specification, `None`, a list of numbers (also
            nested), or a dict, list or tuple of such.
    """
    if isinstance(tree, Mapping):
        return {key: as_structure(part) for key, part in tree.items()}
    if isinstance(tree, list | tuple):
        if _is_plain(tree):
            return np.asarray(tree)
        return tuple(as_structure(part) for part in tree)
    return tree


def _is_plain(tree):
    """Whether it is a list of numbers or texts, or of such lists."""
    if isinstance(tree, list | tuple):
        return bool(tree) and all(map(_is_plain, tree))
    return isinstance(tree, int | float | str | bytes | np.generic)


def by_task(names, y, sample_weight) -> tuple:
    """Returns labels and weights by task; one array is of all tasks.

    Args:
        names: Tuple of strings, the tasks there are.
        y: Dict from task name to labels, or `None`.
        sample_weight: Dict from task name to weights, one array, or `None`.

    Raises:
        ValueError: If they are not named by task.
    """
    if y is None:
        return y, sample_weight
    names = list(names)
    if not isinstance(y, Mapping):
        raise ValueError(
            "Labels must be a dict from task name to array. Received: "
            f"{describe(y)}. Pass y={{task: labels}} for some or all of "
            f"the tasks {names}."
        )
    check_tasks("label", y, names)
    y = {task: as_structure(label) for task, label in y.items()}
    y = {task: label for task, label in y.items() if label is not None}
    weights = as_structure(sample_weight)
    if isinstance(weights, list | tuple):
        raise ValueError(
            "Sample weights must be a dict from task name to array, or one "
            f"array of a weight for each row. Received: {describe(weights)}"
            f". Pass sample_weight={{task: weights}}. Tasks: {names}."
        )
    if weights is not None and not isinstance(weights, Mapping):
        weights = dict.fromkeys(y, weights)
    check_tasks("sample weight", weights or {}, names)
    return y, weights and dict(weights)


def nested_like(label, weight):
    """Returns weights nested as labels are; those of rows are of all parts."""
    if not is_nested(label):
        return None if is_nested(weight) else weight
    if isinstance(label, Mapping):
        return {
            k: nested_like(v, at_path(weight, (k,))) for k, v in label.items()
        }
    return tuple(
        nested_like(part, at_path(weight, (k,))) for k, part in enumerate(label)
    )


def without_none(tree):
    """Returns nested weights without those that are `None`; or `None`."""
    if isinstance(tree, Mapping):
        parts = {key: without_none(part) for key, part in tree.items()}
        return {k: v for k, v in parts.items() if v is not None} or None
    return tree


def multiplied(weight, factor):
    """Returns the product of weights, one of which may have more axes."""
    if weight is None:
        return factor
    weight, factor = tf.cast(weight, "float32"), tf.cast(factor, "float32")
    if weight.shape.rank > factor.shape.rank:
        weight, factor = factor, weight
    return align(weight, factor, None) * factor


def describe(given) -> str:
    """Returns what was given, without its contents."""
    if given is None:
        return "none"
    if is_nested(given):
        return f"{type(given).__name__} {outline(given)}"
    shape = getattr(given, "shape", None)
    kind = type(given).__name__
    return kind if shape is None else f"{kind} of shape {tuple(shape)}"


def is_concrete(leaf) -> bool:
    """Whether the values of an array or tensor can be read."""
    if tf.is_tensor(leaf):
        return isinstance(leaf, tf.Tensor) and hasattr(leaf, "numpy")
    return isinstance(leaf, np.ndarray)
