"""Values of one Keras loss on labels and predictions, before any mean."""

import keras
import tensorflow as tf

from keras_mtl import compat, distribution
from keras_mtl.tasks.masks import align, masked, presence, weighted_sums
from keras_mtl.tasks.masks import without_missing as present_only

LOSSES = keras.losses
# Means over the last axis of a value for each of its entries.
BY_ENTRY = (
    *(LOSSES.binary_crossentropy, LOSSES.binary_focal_crossentropy),
    *(LOSSES.mean_squared_error, LOSSES.mean_absolute_error),
    *(LOSSES.mean_squared_logarithmic_error, LOSSES.huber, LOSSES.log_cosh),
    *(LOSSES.mean_absolute_percentage_error, LOSSES.poisson),
    *(LOSSES.hinge, LOSSES.squared_hinge),
)
# Whose value of a row is of this row alone.
BY_ROW = (
    *BY_ENTRY,
    *(LOSSES.categorical_crossentropy, LOSSES.categorical_hinge),
    *(LOSSES.sparse_categorical_crossentropy, LOSSES.kl_divergence),
    *(LOSSES.categorical_focal_crossentropy, LOSSES.cosine_similarity),
)
# Take the number of a class where others take a vector.
OF_CLASS_NUMBERS = (
    LOSSES.sparse_categorical_crossentropy,
    LOSSES.categorical_generalized_cross_entropy,
    LOSSES.circle,
)


def summed_loss(task, loss, label, output, weight) -> tuple:
    """Returns sum and count of a loss, and whether it is a mean of them.

    Args:
        task: String, named in errors.
        loss: Keras loss, its name, or a function.
        label: Tensor of labels.
        output: Tensor of predictions.
        weight: Sample weights, 0 where a label is missing, or `None`.

    Raises:
        ValueError: If they do not fit each other.
    """
    label = tf.convert_to_tensor(label)
    weight = presence(output, weight)
    if weight is not None:
        label = present_only(label, weight)
    loss = compat.get_loss(loss, label, output)
    if reduces_itself(loss):
        return _own_mean(task, loss, label, output, weight)
    share = 1.0
    if _by_entry(loss, label, output, weight):
        if loss.reduction == "sum":
            share /= int(output.shape[-1])
        label, output = label[..., None], output[..., None]
    values, mask = _values(task, loss, label, output)
    weight = masked(weight, mask)
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
    sums, counts, divides = weighted_sums(values, weight, loss.reduction)
    return sums if share == 1.0 else sums * share, counts, divides


def reduces_itself(loss) -> bool:
    """Whether a loss overrides `__call__`, in which Keras takes the mean."""
    return type(loss).__call__ is not LOSSES.Loss.__call__


def called(loss, label, output, owner, shapes) -> tf.Tensor:
    """Returns what a loss gives before any mean.

    Raises:
        ValueError: If it does not take them, with `owner` and `shapes`.
    """
    try:
        return loss.call(
            tf.cast(label, loss.dtype), tf.cast(output, loss.dtype)
        )
    except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
        raise ValueError(
            f"The loss {loss.name!r} of {owner} does not fit the labels or "
            f"predictions. Received: {shapes}. {error}"
        ) from error


def takes_class_numbers(loss) -> bool:
    """Whether labels of a Keras loss are numbers of classes."""
    return getattr(loss, "fn", None) in OF_CLASS_NUMBERS


def is_by_row(loss) -> bool:
    """Whether a loss, or one of this name, is known to be of each row alone."""
    if isinstance(loss, str):
        if loss.lower() in ("crossentropy", "ce"):
            return True
        loss = keras.losses.get(loss)
    return getattr(loss, "fn", loss) in BY_ROW


def is_of_keras(loss) -> bool:
    """Whether a loss object is Keras' own, function included."""
    function = getattr(loss, "fn", None)
    return type(loss).__module__.startswith("keras.") and (
        function is None or function.__module__.startswith("keras.")
    )


def _own_mean(task, loss, label, output, weight):
    """Returns what a loss that takes its own mean counts for."""
    if distribution.num_replicas() > 1:
        raise ValueError(
            f"The loss {loss.name!r} of task {task!r} overrides `__call__`, "
            "and its mean over one replica's rows is not that over all. "
            "Override `call`, which returns one value for each row."
        )
    mean = tf.reduce_mean(tf.cast(loss(label, output, weight), tf.float32))
    rows = tf.cast(tf.shape(output)[0], tf.float32)
    if weight is not None:
        rows = tf.reduce_sum(tf.cast(weight != 0.0, tf.float32))
    return tf.where(rows > 0.0, mean * rows, 0.0), rows, True


def _by_entry(loss, label, output, weight):
    """Whether each entry of a vector of labels has a weight of its own."""
    if weight is None or getattr(loss, "fn", None) not in BY_ENTRY:
        return False
    if compat.wrapped_arguments(loss).get("axis", -1) != -1:
        return False
    shapes = label.shape, output.shape, weight.shape
    ranks = {shape.rank for shape in shapes}
    if len(ranks) != 1 or None in ranks or shapes[0].rank < 2:
        return False
    return output.shape[-1] not in (1, None) and weight.shape[-1] != 1


def _values(task, loss, label, output):
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
    values = called(loss, label, output, f"task {task!r}", shapes)
    # Where a class is to be ignored, say.
    mask = compat.mask_of(values)
    return tf.cast(values, tf.float32), mask


def _broadcasts(loss, label_shape, output_shape):
    """Whether a Keras loss would silently stretch one against the other."""
    if not is_of_keras(loss) or takes_class_numbers(loss):
        return False
    if (label_shape.rank, output_shape.rank) == (1, 2):
        # Keras takes (B,) for (B, 1), and would stretch it to (B, units).
        return output_shape[-1] not in (1, None)
    if label_shape.rank != output_shape.rank:
        return False
    pairs = zip(label_shape, output_shape, strict=True)
    return any(a != b for a, b in pairs if a is not None and b is not None)


def _shape(tensor):
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    return f"{tuple(tensor.shape)} of {dtype}"
