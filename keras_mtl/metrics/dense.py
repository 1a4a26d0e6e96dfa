"""Metrics of depth and surface normals, a value for each pixel.

They leave out pixels whose sample weight is 0. For segmentation Keras has
`"accuracy"` and `MeanIoU(num_classes, sparse_y_pred=False)`, which do so, too.
"""

import math
from typing import Any

import keras
import tensorflow as tf

from keras_mtl.checks import above


class _PixelMean(keras.metrics.MeanMetricWrapper):
    """The mean of a function of each pixel that this file defines."""

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}


@keras.saving.register_keras_serializable(package="keras_mtl")
class WithinRatio(_PixelMean):
    """Share of predictions less than a factor off, `δ < 1.25`.

    Example:

    >>> float(WithinRatio()([[2.0], [4.0]], [[3.0], [4.0]]))
    0.5

    Args:
        ratio: Float above 1; `max(p / t, t / p)` must be below it, and p
            above 0.
        name: String.
        dtype: As of any Keras metric.

    Call arguments:
        y_true: `(B, ..., 1)` values above 0.
        y_pred: The same.
    """

    def __init__(
        self, ratio: float = 1.25, name: str = "within_ratio", dtype: Any = None
    ):
        super().__init__(_within_ratio, name, dtype, ratio=ratio)
        self.ratio = above("ratio", ratio, 1.0)

    def get_config(self):
        """Returns the arguments to make this metric again."""
        return {**super().get_config(), "ratio": self.ratio}


@keras.saving.register_keras_serializable(package="keras_mtl")
class RelativeError(_PixelMean):
    """Mean of `|p − t| / t`.

    Example:

    >>> float(RelativeError()([[2.0], [4.0]], [[3.0], [4.0]]))
    0.25

    Args:
        name: String.
        dtype: As of any Keras metric.

    Call arguments:
        y_true: `(B, ..., 1)` values above 0.
        y_pred: The same.
    """

    def __init__(self, name: str = "relative_error", dtype: Any = None):
        super().__init__(_relative_error, name, dtype)


@keras.saving.register_keras_serializable(package="keras_mtl")
class MeanAngle(_PixelMean):
    """Mean angle between predicted and true vectors, in degrees.

    Example:

    >>> float(MeanAngle()([[1.0, 0.0]], [[1.0, 1.0]]))
    45.0

    Args:
        name: String.
        dtype: As of any Keras metric.

    Call arguments:
        y_true: `(B, ..., D)` vectors of any length above 0.
        y_pred: The same.
    """

    def __init__(self, name: str = "mean_angle", dtype: Any = None):
        super().__init__(angles, name, dtype)


@keras.saving.register_keras_serializable(package="keras_mtl")
class WithinAngle(_PixelMean):
    """Share of predicted vectors that point less than an angle off.

    Example:

    >>> true = [[1.0, 0.0], [1.0, 0.0]]
    >>> float(WithinAngle()(true, [[1.0, 1.0], [1.0, 0.1]]))
    0.5

    Args:
        degrees: Float above 0.
        name: String.
        dtype: As of any Keras metric.

    Call arguments:
        y_true: `(B, ..., D)` vectors of any length above 0.
        y_pred: The same.
    """

    def __init__(
        self,
        degrees: float = 11.25,
        name: str = "within_angle",
        dtype: Any = None,
    ):
        super().__init__(_within_angle, name, dtype, degrees=degrees)
        self.degrees = above("degrees", degrees, 0.0)

    def get_config(self):
        """Returns the arguments to make this metric again."""
        return {**super().get_config(), "degrees": self.degrees}


@keras.saving.register_keras_serializable(package="keras_mtl")
class MedianAngle(keras.metrics.Metric):
    """Median angle between predicted and true vectors, in degrees.

    Over all that it has seen, not a mean of medians: a histogram keeps them,
    and the median is right to within a bin.

    Example:

    >>> true = [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]
    >>> float(MedianAngle()(true, [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]))
    45.0

    Args:
        num_bins: Integer, from 0 to 180 degrees; 0.005 degrees each by
            default.
        name: String.
        dtype: As of any Keras metric.

    Call arguments:
        y_true: `(B, ..., D)` vectors of any length above 0.
        y_pred: The same.
        sample_weight: `(B, ...)`; vectors of weight 0 are left out, the others
            count alike.
    """

    def __init__(
        self,
        num_bins: int = 36_000,
        name: str = "median_angle",
        dtype: Any = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.num_bins = int(num_bins)
        self._counts = self.add_variable(
            (self.num_bins,), "zeros", dtype="int32", name="counts"
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Adds vectors."""
        found = angles(y_true, y_pred)
        counted = tf.ones_like(found, tf.int32)
        if sample_weight is not None:
            there = tf.not_equal(tf.convert_to_tensor(sample_weight), 0)
            counted *= tf.cast(there, tf.int32)
        bins = tf.cast(found * (self.num_bins / 180.0), tf.int32)
        bins = tf.clip_by_value(bins, 0, self.num_bins - 1)
        counts = tf.math.unsorted_segment_sum(counted, bins, self.num_bins)
        self._counts.assign_add(counts)

    def result(self):
        """Returns the middle of the bin that the median is in, or 0."""
        counts = tf.convert_to_tensor(self._counts)
        below = tf.cumsum(tf.cast(counts, tf.int64))
        bins = tf.reduce_sum(tf.cast(2 * below < below[-1], tf.float32))
        middle = (bins + 0.5) * (180.0 / self.num_bins)
        return tf.where(below[-1] > 0, middle, 0.0)

    def get_config(self):
        """Returns the arguments to make this metric again."""
        own = {"name": self.name, "dtype": self.dtype}
        return {"num_bins": self.num_bins, **own}


def angles(y_true, y_pred):
    """Returns the angles between vectors along the last axis, in degrees.

    Not by the arc cosine, which in float32 is wrong by up to 0.02 degrees near
    0.

    Args:
        y_true: `(B, ..., D)` vectors.
        y_pred: `(B, ..., D)` vectors.

    Returns:
        `(B, ...)`, from 0 to 180; 90 where a vector is 0.
    """
    y_pred = tf.convert_to_tensor(y_pred)
    y_true = tf.cast(y_true, y_pred.dtype)
    first, second = (tf.math.l2_normalize(v, axis=-1) for v in (y_true, y_pred))
    apart = tf.norm(first - second, axis=-1)
    return tf.atan2(apart, tf.norm(first + second, axis=-1)) * (360.0 / math.pi)


def _within_angle(y_true, y_pred, degrees):
    return tf.cast(angles(y_true, y_pred) < degrees, tf.float32)


def _within_ratio(y_true, y_pred, ratio):
    y_pred = tf.convert_to_tensor(y_pred)
    y_true = _positive(y_true, y_pred.dtype)
    worse = tf.maximum(y_pred / y_true, y_true / y_pred)
    within = (worse < ratio) & (y_pred > 0.0)
    return tf.cast(within, tf.float32)[..., 0]


def _relative_error(y_true, y_pred):
    y_pred = tf.convert_to_tensor(y_pred)
    y_true = _positive(y_true, y_pred.dtype)
    return (tf.abs(y_pred - y_true) / y_true)[..., 0]


def _positive(y_true, dtype):
    """Returns labels without the 0 of a missing one, whose weight is 0."""
    y_true = tf.cast(y_true, dtype)
    return tf.where(y_true > 0.0, y_true, tf.ones_like(y_true))
