"""Sample weights in the shape that each of Keras' metrics needs."""

import keras
import tensorflow as tf

from keras_mtl import compat
from keras_mtl.data.symbolic import symbolic
from keras_mtl.tasks.loss_values import BY_ENTRY
from keras_mtl.tasks.masks import align, squeezed

CONFUSION = (
    *(keras.metrics.AUC, keras.metrics.Precision, keras.metrics.Recall),
    *(compat.SensitivitySpecificityBase, compat.ConditionCount),
)


def made_for(metric, label, output):
    """Returns a metric object that has all its variables.

    Args:
        metric: Metric of Keras, its name, or a function.
        label: Tensor or specification of labels.
        output: Tensor or specification of predictions.
    """
    metric = compat.get_metric(metric, label, output)
    if compat.waits_for_shapes(metric):
        compat.compute_output_spec(
            metric.update_state, symbolic(label), symbolic(output)
        )
    return metric


def update_aligned(task, metric, label, output, weight, whole):
    """Updates a metric with weights of rows, labels or pixels.

    Args:
        task: String, named in errors.
        metric: Keras metric.
        label: Tensor of labels.
        output: Tensor of predictions.
        weight: Float32 weights, or `None`.
        whole: Boolean, whether all weights are 0 or 1.

    Raises:
        ValueError: If the metric does not take them.
    """
    try:
        if weight is not None:
            label, output, weight = _aligned(
                task, metric, label, output, weight
            )
            if whole and "int" in str(metric.dtype):
                weight = tf.cast(weight, metric.dtype)
        metric.update_state(label, output, sample_weight=weight)
    except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
        shapes = f"labels {label.shape}, predictions {output.shape}"
        if weight is not None:
            shapes += f", weights {weight.shape}"
        raise ValueError(
            f"The metric {metric.name!r} of task {task!r} does not fit its "
            f"labels, predictions or sample weights. Received: {shapes}. "
            f"{error}"
        ) from error


def _aligned(task, metric, label, output, weight):
    weight = squeezed(weight, label)
    if isinstance(metric, compat.IoUBase):
        shape = tf.shape(label)
        like = label
        if not metric.sparse_y_true:
            like = tf.argmax(label, axis=metric.axis)
            shape = tf.shape(like)
        return label, output, tf.broadcast_to(align(weight, like, task), shape)
    if isinstance(metric, CONFUSION):
        return _of_entries(task, metric, label, output, weight)
    function = compat.wrapped_function(metric)
    function = getattr(function, "fn", function)
    if function is None or weight.shape.rank < 2:
        return label, output, weight
    entries = weight.shape.rank == label.shape.rank == output.shape.rank
    if entries and function in BY_ENTRY:
        # Their mean over the last axis would hide single labels.
        return label[..., None], output[..., None], weight
    values = compat.wrapped_function(metric)(
        label, output, **compat.wrapped_arguments(metric)
    )
    if values.shape.rank == weight.shape.rank - 1:
        # A row whose value is of all its labels counts if it has them all.
        weight = tf.reduce_min(weight, axis=-1)
    return label, output, weight


def _of_entries(task, metric, label, output, weight):
    """Returns labels, predictions and weights of all entries in a row."""
    whole = (
        getattr(metric, "multi_label", False)
        or getattr(metric, "class_id", None) is not None
        or getattr(metric, "top_k", None) is not None
    )
    if whole:
        if 1 == weight.shape.rank < label.shape.rank - 1:
            rows = tf.shape(label)[:-1]
            weight = tf.broadcast_to(align(weight, label[..., 0], task), rows)
        return label, output, weight
    weight = tf.broadcast_to(align(weight, label, task), tf.shape(label))
    return tuple(tf.reshape(part, [-1]) for part in (label, output, weight))
