"""The tasks' gradients on the even and on the odd rows of a batch."""

import keras
import tensorflow as tf

from keras_mtl import distribution
from keras_mtl.gradients.local_losses import LocalLosses, global_totals
from keras_mtl.tasks.own_rows import RowLabels

EVEN, ODD = 0, 1


class HalfLosses:
    """The tasks' mean losses on the even or on the odd rows of the batch.

    Rows are counted over the global batch, each task's own where inputs are
    separate. A mean is over the half's labels.

    Args:
        model: A built and compiled `MultiTaskModel`.
        tape: Persistent `tf.GradientTape` of the forward pass.
        batch: `ForwardPass`, for its labels, outputs and sample weights.
        parity: `EVEN` or `ODD`.
        scale: Float scalar, the optimizer's loss scale.

    Attributes:
        losses: `LocalLosses`.
        present: `(K,)` float32, 1 for a task with a label in this half.
    """

    def __init__(self, model, tape, batch, parity, scale):
        weights = _halved(batch, parity)
        with tape:
            local = model.task_losses(batch.labels, batch.outputs, weights)
            zero = tf.constant(0.0)
            values, totals = global_totals(local, zero, zero)
            self.losses = LocalLosses(
                tape,
                values,
                len(model.task_names),
                zero,
                scale,
                distribution.num_replicas(),
            )
        self.present = totals.present


def _halved(batch, parity):
    """Returns the sample weights, 0 on every second row."""
    outputs, weights = batch.outputs, batch.sample_weight
    if not isinstance(outputs, dict):
        (mask,) = _masks(tf.shape(outputs)[:1], parity)
        if isinstance(batch.labels, RowLabels):
            return _times(mask, weights)
        if weights is None:
            weights = tf.ones([1, outputs.shape[1]])
        weights = tf.cast(weights, tf.float32)
        weights = tf.reshape(weights, [tf.shape(weights)[0], -1])
        return mask[:, None] * weights
    tasks = list(outputs)
    leaves = [keras.tree.flatten(outputs[task])[0] for task in tasks]
    rows = tf.stack([tf.shape(leaf)[0] for leaf in leaves])
    masks = dict(zip(tasks, _masks(rows, parity), strict=True))
    return {
        task: _times(mask, (weights or {}).get(task))
        for task, mask in masks.items()
    }


def _masks(rows, parity):
    """Returns for each number of rows the mask of this replica's ones."""
    before = tf.unstack(distribution.rows_before(rows))
    return [
        tf.cast((tf.range(count) + first) % 2 == parity, tf.float32)
        for count, first in zip(tf.unstack(rows), before, strict=True)
    ]


def _times(mask, weight):
    if weight is None:
        return mask
    rank = weight.shape.rank
    shape = tf.concat([tf.shape(mask), tf.ones(rank - 1, tf.int32)], axis=0)
    return tf.cast(weight, tf.float32) * tf.reshape(mask, shape)
