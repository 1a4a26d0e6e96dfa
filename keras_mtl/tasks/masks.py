"""Missing labels: weights of 0, Keras' masks, means over present labels."""

import tensorflow as tf

from keras_mtl import compat


def presence(output, weight):
    """Returns float32 sample weights with Keras' mask applied, or `None`."""
    if weight is not None:
        weight = tf.cast(weight, tf.float32)
    return masked(weight, compat.mask_of(output))


def masked(weight, mask):
    """Returns float32 weights that are 0 where a mask is false, or `None`.

    Args:
        weight: Float32 tensor, or `None` for 1.
        mask: Boolean tensor, or `None`.
    """
    if mask is None:
        return weight
    mask = tf.cast(mask, tf.float32)
    return mask if weight is None else align(weight, mask, None) * mask


def without_missing(label, weight):
    """Returns labels with 0 where the weight is 0: NaN and -1 do no harm."""
    label = tf.convert_to_tensor(label)
    weight = squeezed(weight, label)
    if label.dtype == tf.string or weight.shape.rank > label.shape.rank:
        return label
    present = align(weight, label, None) != 0.0
    return tf.where(present, label, tf.zeros_like(label))


def align(weight, values, task):
    """Returns `weight` with as many axes as `values`, to broadcast."""
    weight = squeezed(weight, values)
    if weight.shape.rank > values.shape.rank:
        raise ValueError(
            f"The sample weights of task {task!r} have more axes than its "
            f"loss values. Expected: at most {values.shape}. Received: "
            f"{weight.shape}. Pass a weight for each value of the loss, or a "
            "loss that gives one for each weight."
        )
    missing = values.shape.rank - weight.shape.rank
    weight = weight[(..., *[None] * missing)]
    pairs = zip(weight.shape, values.shape, strict=True)
    if any(w not in (1, None, v) for w, v in pairs if v is not None):
        raise ValueError(
            f"The sample weights of task {task!r} do not have the shape of its "
            f"loss values or labels. Expected: {values.shape}, or one weight "
            f"for each row. Received: {weight.shape}"
        )
    return weight


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


def squeezed(weight, values):
    """Returns `weight` without last axes of length 1 that `values` lack."""
    while weight.shape.rank > values.shape.rank and weight.shape[-1] == 1:
        weight = weight[..., 0]
    return weight
