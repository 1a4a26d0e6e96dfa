"""A loss for depth, part of which forgives a picture's common factor."""

import keras
import tensorflow as tf

from keras_mtl import compat
from keras_mtl.checks import probability

# Metres; less is taken for that.
SMALLEST = 1e-5


@keras.saving.register_keras_serializable(package="keras_mtl")
class ScaleInvariantLog(keras.losses.Loss):
    """Squared errors of log depth, less what a common factor explains.

    With `d = log(prediction) − log(label)`, a picture's loss is
    `mean(d²) − invariance · mean(d)²`. The values returned are
    `d² − invariance · mean(d) d`, which have that mean: so pixels can be
    masked by sample weights as with any loss. A picture counts by the number
    of its labelled pixels.

    Example:

    >>> model.compile("adam", loss={"depth": ScaleInvariantLog()})

    Args:
        invariance: Float from 0, squared errors of log depth, to 1, where a
            common factor of all depths in a picture costs nothing.
        reduction: String, as of any Keras loss.
        name: String.

    Call arguments:
        y_true: `(B, ..., 1)` depths; 0 where there is none.
        y_pred: `(B, ..., 1)` depths, above 0.

    Returns:
        `(B, ...)` values, before the reduction; 0 where there is no label,
        which a mean leaves out.

    Reference:
        - [Eigen et al., 2014](https://arxiv.org/abs/1406.2283)
    """

    def __init__(
        self,
        invariance: float = 0.5,
        reduction: str = "sum_over_batch_size",
        name: str = "scale_invariant_log",
        **kwargs,
    ):
        super().__init__(name=name, reduction=reduction, **kwargs)
        self.invariance = probability("invariance", invariance)

    def call(self, y_true, y_pred):
        """Returns the values."""
        y_true = tf.cast(y_true, y_pred.dtype)
        known = y_true > 0.0
        there = tf.cast(known, y_pred.dtype)
        errors = there * (_log(y_pred) - _log(y_true))
        axes = [*range(1, errors.shape.rank)]
        number = tf.reduce_sum(there, axes, keepdims=True)
        total = tf.reduce_sum(errors, axes, keepdims=True)
        mean = total / tf.maximum(number, 1.0)
        values = (errors * (errors - self.invariance * mean))[..., 0]
        # As of Keras' `ignore_class`: a mean is over the others.
        compat.set_mask(values, known[..., 0])
        return values

    def get_config(self):
        """Returns the arguments to make this loss again."""
        return {**super().get_config(), "invariance": self.invariance}


def _log(depth):
    return tf.math.log(tf.maximum(depth, SMALLEST))
