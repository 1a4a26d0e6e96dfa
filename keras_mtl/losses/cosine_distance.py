"""A loss for directions: one minus the cosine."""

import keras
import tensorflow as tf

# Squared length to which shorter predictions count as zero.
SMALLEST = 1e-12


@keras.saving.register_keras_serializable(package="keras_mtl")
class CosineDistance(keras.losses.Loss):
    """One minus the cosine between predicted and true vectors.

    Lengths do not count. Unlike Keras' cosine similarity it is never negative,
    which weighters that take a loss's logarithm or ratio need.

    Example:

    >>> model.compile("adam", loss={"normals": CosineDistance()})

    Args:
        reduction: String, as of any Keras loss.
        name: String.

    Call arguments:
        y_true: `(B, ..., D)` vectors; the loss of a zero vector is 1.
        y_pred: `(B, ..., D)` vectors.

    Returns:
        `(B, ...)` values from 0 to 2, before the reduction.
    """

    def __init__(
        self,
        reduction: str = "sum_over_batch_size",
        name: str = "cosine_distance",
        **kwargs,
    ):
        super().__init__(name=name, reduction=reduction, **kwargs)

    def call(self, y_true, y_pred):
        """Returns the values."""
        y_true = tf.cast(y_true, y_pred.dtype)
        first, second = (
            tf.math.l2_normalize(v, axis=-1, epsilon=SMALLEST)
            for v in (y_true, y_pred)
        )
        return 1.0 - tf.reduce_sum(first * second, axis=-1)
