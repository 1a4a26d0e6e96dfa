"""Metrics of counts at thresholds, of all stacked tasks in one histogram."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf

from keras_mtl import compat
from keras_mtl.tasks.own_rows import RowLabels


class Counts(NamedTuple):
    """The counts that a metric is made of.

    Args:
        thresholds: Tuple of T floats, ascending.
        evenly: Boolean, whether they divide 0 to 1 evenly.
        from_logits: Boolean, whether predictions are logits.
        finish: Function from the `(T, K)` true and false positives and the
            `(K,)` positive and negative labels to the `(K,)` results.
    """

    thresholds: tuple
    evenly: bool
    from_logits: bool
    finish: Callable

    @property
    def histogram(self) -> tuple:
        """What metrics that read the same histogram have in common."""
        return self.thresholds, self.evenly, self.from_logits

    def results(self, histogram):
        """Returns the `(K,)` results of a histogram `(T + 1, 2, K)`."""
        above = tf.cumsum(histogram, axis=0, reverse=True)
        negatives, positives = tf.unstack(above[0])
        false, true = tf.unstack(above[1:], axis=1)
        results = self.finish(true, false, positives, negatives)
        return tf.where(positives + negatives > 0.0, results, _NAN)


_NAN = float("nan")


def counts_of(metric) -> Counts | None:
    """Returns the counts that a Keras metric is made of, if it can be stacked.

    Args:
        metric: `keras.metrics.AUC`, `Precision` or `Recall`, or another.

    Raises:
        ValueError: If it has settings that single tasks do not have.
    """
    kinds = keras.metrics.AUC, keras.metrics.Precision, keras.metrics.Recall
    if not isinstance(metric, kinds):
        return None
    if isinstance(metric, keras.metrics.AUC):
        curve = metric.curve.value
        if metric.multi_label or curve not in _AREAS:
            raise ValueError(
                f"The metric {metric.name!r} cannot be taken of stacked tasks. "
                "Each task gets an area of its own: leave out `multi_label` "
                "and `label_weights`, and use the curve 'ROC' or 'PR'. "
                f"Received: curve={curve!r}, multi_label={metric.multi_label}"
            )
        method = metric.summation_method.value

        def area(*counts):
            return _AREAS[curve](method, *counts)

        return Counts(*compat.area_settings(metric), area)
    thresholds = tuple(map(float, metric.thresholds))
    if len(thresholds) > 1 or (metric.top_k, metric.class_id) != (None, None):
        raise ValueError(
            f"The metric {metric.name!r} cannot be taken of stacked tasks. Use "
            "one threshold, without `top_k` and `class_id`. Received: "
            f"thresholds={metric.thresholds!r}, top_k={metric.top_k!r}, "
            f"class_id={metric.class_id!r}"
        )
    ratio = _recall
    if isinstance(metric, keras.metrics.Precision):
        ratio = _precision
    return Counts(thresholds, False, False, ratio)


def histogram_of(counts, labels, label, output, weight, num_tasks):
    """Returns what a batch adds to a histogram, `(T + 1, 2, K)`.

    Entry t counts the predictions above the first t thresholds and no others.

    Args:
        counts: `Counts`.
        labels: Stacked labels, or `RowLabels`.
        label: `(B, K, 1)`, or `(B, 1)` of rows of one task; 0 or 1.
        output: Predictions of the same shape.
        weight: Weights that broadcast to it without its last axis.
        num_tasks: Integer, K.

    Raises:
        ValueError: If a task's prediction has several entries.
    """
    if output.shape[-1] != 1:
        raise ValueError(
            "AUC, Precision and Recall of stacked tasks need one prediction "
            f"for each task. Received: heads of {output.shape[-1]} units. Use "
            "'accuracy', or compute them from predict()."
        )
    values = tf.cast(output[..., 0], tf.float32)
    if counts.from_logits:
        values = tf.sigmoid(values)
    number = len(counts.thresholds)
    if counts.evenly:
        # As Keras does it: the number of the last threshold below.
        places = tf.math.ceil(tf.clip_by_value(values, 0.0, 1.0) * (number - 1))
        above = tf.cast(tf.maximum(places, 1.0), tf.int32)
    else:
        thresholds = tf.constant(counts.thresholds, tf.float32)
        flat = tf.reshape(values, [-1])
        above = tf.reshape(tf.searchsorted(thresholds, flat), tf.shape(values))
    tasks = tf.range(num_tasks)
    if isinstance(labels, RowLabels):
        tasks = tf.clip_by_value(labels.tasks, 0, num_tasks - 1)
    positive = tf.cast(tf.reshape(label, tf.shape(values)) > 0, tf.int32)
    keys = (above * 2 + positive) * num_tasks + tasks
    weight = tf.broadcast_to(weight, tf.shape(values))
    size = (number + 1) * 2 * num_tasks
    found = tf.math.unsorted_segment_sum(weight, keys, size)
    return tf.reshape(found, [number + 1, 2, num_tasks])


def _precision(true, false, positives, negatives):
    return tf.math.divide_no_nan(true[0], true[0] + false[0])


def _recall(true, false, positives, negatives):
    return tf.math.divide_no_nan(true[0], positives)


def _roc(method, true, false, positives, negatives):
    """The area under recall over false positives; NaN without both classes."""
    rate = tf.math.divide_no_nan(false, negatives)
    recall = tf.math.divide_no_nan(true, positives)
    area = tf.reduce_sum(
        (rate[:-1] - rate[1:]) * _heights(method, recall), axis=0
    )
    return tf.where((positives > 0.0) & (negatives > 0.0), area, _NAN)


def _pr(method, true, false, positives, negatives):
    """The area under precision over recall; NaN without a positive label."""
    counted = true + false
    if method == "interpolation":
        # True positives are taken to grow linearly with all that is counted
        # (Davis and Goadrich, 2006).
        steps = true[:-1] - true[1:]
        slope = tf.math.divide_no_nan(steps, counted[:-1] - counted[1:])
        level = true[1:] - slope * counted[1:]
        both = (counted[:-1] > 0.0) & (counted[1:] > 0.0)
        ratio = tf.where(both, counted[:-1] / counted[1:], 1.0)
        terms = slope * (steps + level * tf.math.log(ratio))
        area = tf.math.divide_no_nan(tf.reduce_sum(terms, axis=0), positives)
    else:
        recall = tf.math.divide_no_nan(true, positives)
        precision = tf.math.divide_no_nan(true, counted)
        heights = _heights(method, precision)
        area = tf.reduce_sum((recall[:-1] - recall[1:]) * heights, axis=0)
    return tf.where(positives > 0.0, area, _NAN)


def _heights(method, values):
    if method == "interpolation":
        return (values[:-1] + values[1:]) / 2.0
    lesser = method == "minoring"
    return (tf.minimum if lesser else tf.maximum)(values[:-1], values[1:])


_AREAS = {"ROC": _roc, "PR": _pr}
