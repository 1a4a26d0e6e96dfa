"""Mixed precision: loss scale and finiteness."""

import tensorflow as tf


def loss_scale(optimizer) -> tf.Tensor:
    """Returns the factor by which `optimizer` expects gradients scaled."""
    return tf.convert_to_tensor(optimizer.scale_loss(tf.constant(1.0)))


def inner_optimizer(optimizer):
    """Returns the optimizer that a loss-scaling one wraps, or itself."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def is_dynamic(optimizer) -> bool:
    """Whether `optimizer` lowers its loss scale when gradients overflow."""
    return hasattr(optimizer, "dynamic_scale")


def all_finite(tensors) -> tf.Tensor:
    """Returns a boolean scalar: whether every entry of `tensors` is finite.

    Args:
        tensors: Iterable of tensors, `tf.IndexedSlices` or `None`.
    """
    flags = [
        tf.reduce_all(tf.math.is_finite(getattr(tensor, "values", tensor)))
        for tensor in tensors
        if tensor is not None
    ]
    return tf.reduce_all(tf.stack(flags))


def keep_if(finite, variables, before):
    """Resets `variables` to the values `before` unless `finite`."""
    for variable, value in zip(variables, before, strict=True):
        variable.assign(tf.where(finite, variable, value))
