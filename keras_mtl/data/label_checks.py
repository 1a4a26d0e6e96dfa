"""Checks of labels and weights in arrays, once, before training."""

import keras
import numpy as np
import tensorflow as tf

from keras_mtl import compat
from keras_mtl.data.structures import is_concrete
from keras_mtl.tasks.loss_parts import part_name
from keras_mtl.tasks.loss_values import (
    OF_CLASS_NUMBERS,
    is_of_keras,
    reduces_itself,
)

CIRCLE = keras.losses.circle


def check_labels(model, x, y, sample_weight):
    """Raises on labels and weights that would train something wrong.

    Args:
        model: `MultiTaskModel`.
        x: Inputs.
        y: Labels, as the model's arrangement has them.
        sample_weight: Weights alike, or `None`.

    Raises:
        ValueError: If labels are not numbers, not finite or of a class that
            the head does not have, unless their weight is 0; or if weights or
            inputs do not fit them.
    """
    separate = model.is_separate(x)
    owner = model.arrangement.owner_of_row(x)
    wide = owner is None and len(getattr(y, "shape", ())) == 2
    for task, path, label, weight in model.arrangement.columns(
        x, y, sample_weight
    ):
        name = part_name(task, path)
        if not is_concrete(label) and hasattr(label, "__array__"):
            label = np.asarray(label)
        if not is_concrete(label):
            continue
        label = label.numpy() if tf.is_tensor(label) else label
        _check_numbers(name, label)
        inputs = x.get(task) if separate else x
        if inputs is None:
            raise ValueError(
                f"The model has heads for the tasks [{task!r}], which have no "
                f"input. Received: input for {list(x)}, but labels for "
                f"{task!r}. Pass both or neither."
            )
        _check_rows(name, inputs, label)
        if weight is not None:
            weight = _checked_weight(name, label, weight)
        loss = model.task_losses.loss_at(task, path)
        output = model.arrangement.symbolic_output(model, task, path)
        _check_values(name, label, weight, loss, output, owner, wide)


def _check_numbers(name, label):
    if label.dtype.kind in "USO":
        raise ValueError(
            f"Task {name!r} has labels that are not numbers. Received: "
            f"an array of {label.dtype}. Encode them, for example with "
            "keras.layers.StringLookup."
        )


def _check_rows(name, inputs, label):
    first = next(iter(keras.tree.flatten(inputs)), None)
    shape = getattr(first, "shape", None)
    if not shape or shape[0] is None or not label.shape:
        return
    if int(shape[0]) != len(label):
        raise ValueError(
            f"Task {name!r}: inputs, labels and weights must have the same "
            f"number of rows. Received: inputs {int(shape[0])}, labels "
            f"{len(label)}"
        )


def _checked_weight(name, label, weight):
    """Returns weights as an array that broadcasts to the labels."""
    array = np.asarray(weight)
    while array.ndim > label.ndim and array.shape[-1] == 1:
        array = array[..., 0]
    fits = array.dtype.kind in "biuf" and array.ndim >= 1
    fits = fits and len(array) == len(label)
    pairs = zip(array.shape[1:], label.shape[1:], strict=False)
    fits = fits and array.ndim <= label.ndim
    fits = fits and all(w in (1, size) for w, size in pairs)
    if not fits:
        raise ValueError(
            f"The sample weights of task {name!r} do not fit its labels. "
            f"Expected: shape ({len(label)},), a weight for each row, or "
            f"{label.shape}, one for each label. Received: "
            f"{np.shape(weight)} of {np.asarray(weight).dtype}"
        )
    bad = ~np.isfinite(array) if array.dtype.kind == "f" else array < 0
    if array.dtype.kind == "f":
        bad |= array < 0.0
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"The sample weights of task {name!r} must be finite and at least "
            f"0. Received: {array[first]} in row {first[0]}"
        )
    return array


def _check_values(name, label, weight, loss, output, owner, wide):
    """Raises on the first label that is wrong and counts."""
    bad, expected, remedy = np.zeros((), bool), "finite numbers", None
    if label.dtype.kind == "f":
        bad = ~np.isfinite(label)
    known = _known(loss, label, output)
    function = getattr(known, "fn", None)
    if function in OF_CLASS_NUMBERS and function is not CIRCLE:
        classes = output.shape[compat.wrapped_arguments(known).get("axis", -1)]
        if classes is not None:
            expected = f"classes 0 to {classes - 1}"
            outside = (label < 0) | (label >= classes)
            if (label.min(initial=1), label.max(initial=0)) == (1, classes):
                remedy = "Classes count from 0: subtract 1 from these labels."
            ignored = compat.wrapped_arguments(known).get("ignore_class")
            if ignored is not None:
                outside &= label != ignored
            bad = bad | outside
    if not bad.any():
        return
    if weight is not None:
        axes = label.ndim - weight.ndim
        bad = bad & (weight.reshape(*weight.shape, *[1] * axes) != 0)
        if not bad.any():
            return
    first = tuple(int(i) for i in np.argwhere(bad)[0])
    value = label[first]
    if not np.isfinite(value) and _copes(known, label, first[0], output):
        return
    name = name if owner is None else owner(first[0])
    number = "math.nan" if np.isnan(value) else f"{value:g}"
    # One array of all stacked tasks: each entry is a label by itself.
    vector = ", vector=False" if wide else ""
    missing = (
        "If it stands for a missing label, pass y, sample_weight = "
        f"keras_mtl.data.mask_missing(y, missing={number}{vector})."
    )
    raise ValueError(
        f"Task {name!r} has a label that its loss cannot take. Expected: "
        f"{expected}. Received: {value} in row {first[0]}, {int(bad.sum())} "
        f"such labels in all. {remedy or missing}"
    )


def _known(loss, label, output):
    """Returns the loss object, if there is one for these shapes."""
    if loss is None or output is None:
        return None
    spec = keras.KerasTensor((None, *label.shape[1:]))
    return compat.get_loss(loss, spec, output)


def _copes(loss, label, row, output):
    """Whether a loss of the user's own is finite for this row."""
    if loss is None or is_of_keras(loss):
        return False
    shape = [1, *(size or s for size, s in _sizes(label, output))]
    try:
        function = loss if reduces_itself(loss) else loss.call
        value = function(
            tf.cast(label[row : row + 1], loss.dtype),
            tf.zeros(shape, loss.dtype),
        )
        return bool(tf.reduce_all(tf.math.is_finite(value)))
    except (ValueError, TypeError, tf.errors.OpError):
        return True


def _sizes(label, output):
    own = [*label.shape[1:], *[1] * len(output.shape)]
    return zip(output.shape[1:], own, strict=False)
