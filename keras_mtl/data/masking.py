"""Turns missing labels into labels of weight 0."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_mtl.checks import did_you_mean


def mask_missing(
    labels: Any,
    missing: float | Mapping[str, float] = math.nan,
    vector: bool | Mapping[str, bool] | None = None,
):
    """Replaces missing labels by 0 and gives them sample weight 0.

    Example:

    >>> y, sample_weight = mask_missing({"a": np.array([1.0, np.nan])})
    >>> y["a"], sample_weight["a"]
    (array([1., 0.]), array([1., 0.], dtype=float32))

    It also works inside `tf.data.Dataset.map`:

    >>> dataset.map(lambda x, y: (x, *mask_missing(y, missing=-1)))

    Args:
        labels: Array or tensor of one batch (or of all rows), or a dict
            `{task: array}` of such.
        missing: What stands for a missing label: NaN, or a number such as -1.
            A dict `{task: number}` sets it per task, NaN for the others.
        vector: Boolean, or a dict `{task: boolean}`: whether the last axis
            holds the entries of one label, whose loss is averaged over that
            axis. By default it does in shapes `(B, D)` and `(B, H, W, D)`,
            and does not in `(B,)` and `(B, H, W)`. Pass `False` for labels
            `(B, T)` of the steps of sequences, and for stacked labels
            `(B, K)`; `True` for stacked labels `(B, K, units)`.

    Returns:
        `(labels, sample_weight)`, both of the structure of `labels`. The
        weights are float32, 1 where there is a label, 0 where it is missing,
        and have the shape of the labels without the axis of vectors. A vector
        with any entry missing is missing as a whole: the average over its
        entries would count the others. A warning says so, unless `vector` is
        given.

    Raises:
        ValueError: If `missing` or `vector` names an unknown task, or the
            number of axes of a tensor is unknown.
    """
    if not isinstance(labels, dict):
        return _mask_one("labels", labels, missing, vector)
    codes = _by_task("missing", missing, labels, math.nan)
    vectors = _by_task("vector", vector, labels, None)
    masked = {
        task: _mask_one(task, values, codes[task], vectors[task])
        for task, values in labels.items()
    }
    return (
        {task: values for task, (values, _) in masked.items()},
        {task: weight for task, (_, weight) in masked.items()},
    )


def _mask_one(name, labels, missing, vector):
    """Returns the labels and weights of one task."""
    if not tf.is_tensor(labels):
        return _mask(name, np, np.asarray(labels), missing, vector)
    if labels.shape.rank is None:
        raise ValueError(
            f"The number of axes of {name!r} must be known to mask its missing "
            f"labels. Received: shape={labels.shape}. Call `tf.ensure_shape()` "
            "on it first."
        )
    return _mask(name, tf.experimental.numpy, labels, missing, vector)


def _mask(name, ops, labels, missing, vector):
    """Masks with NumPy or with its twin in TensorFlow."""
    if math.isnan(missing):
        # Only NaN differs from itself; integers never do.
        absent = ops.not_equal(labels, labels)
    else:
        # As float64, because -1 does not exist among unsigned integers.
        absent = ops.equal(ops.asarray(labels, "float64"), float(missing))
    labels = ops.where(absent, ops.zeros_like(labels), labels)
    if vector or (vector is None and len(labels.shape) in (2, 4)):
        whole = ops.any(absent, axis=-1)
        if vector is None and ops is np:
            _warn_of_parts(name, absent, whole)
        absent = whole
    return labels, ops.where(absent, ops.float32(0.0), ops.float32(1.0))


def _warn_of_parts(name, absent, whole):
    """Warns of labels that are left out though some of their entries exist."""
    parts = int(np.sum(whole & ~np.all(absent, axis=-1)))
    if parts:
        warnings.warn(
            f"{parts} labels of {name!r} lack some of their entries and are "
            "left out as a whole. Pass vector=False if each entry is a label "
            "of its own, or vector=True if this is meant.",
            stacklevel=5,
        )


def _by_task(name, value, tasks, default):
    """Returns `{task: value}`, from one value for all or from a dict."""
    if not isinstance(value, dict):
        return dict.fromkeys(tasks, value)
    for task in value:
        if task not in tasks:
            raise ValueError(
                f"Argument `{name}` names the unknown task {task!r}. "
                f"Tasks: {list(tasks)}.{did_you_mean(task, tasks)}"
            )
    return {task: value.get(task, default) for task in tasks}
