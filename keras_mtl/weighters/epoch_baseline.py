"""Weights of losses against their means in one early epoch."""

import keras
import tensorflow as tf

from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.presence import seen_tasks, softmax_over

# Below it a loss counts as that much: reciprocals stay in float32.
SMALLEST_LOSS = 1e-30


class EpochBaseline(Weighter):
    """A weighter that compares losses with their means in one epoch.

    Until that epoch is over the weights are the reciprocal losses; then they
    are `K * softmax(scores) / losses`, where a subclass says how the scores
    follow from the losses and their baseline. `sum(weights * losses)` is K
    (the number of tasks with a label) throughout.

    Each `fit` that begins at epoch 0 measures the baseline anew; pass
    `initial_epoch` to go on. A task without a label in that epoch takes its
    next loss for the baseline.

    Attributes:
        measured_epoch: Integer, the epoch of the baseline, counted from 0. A
            subclass sets it.
    """

    measured_epoch = 0

    def scores(self, losses, baseline):
        """Returns `(K,)` logits of float64 losses and their baseline."""
        raise NotImplementedError

    def build(self, losses_shape):
        """Creates the mean losses of the epoch."""
        self.baseline = self.add_state("baseline", losses_shape)
        self.steps = self.add_state("steps", losses_shape)
        self.epoch = self.add_state(
            "epoch", (), keras.initializers.Constant(-1.0)
        )

    def call(self, losses, epoch, present=None):
        """Updates the baseline and returns the weights."""
        seen = seen_tasks(losses, present)
        baseline = self._measure(losses, epoch, seen)
        wide = tf.maximum(tf.cast(losses, tf.float64), SMALLEST_LOSS)
        baseline = tf.maximum(tf.cast(baseline, tf.float64), SMALLEST_LOSS)
        count = tf.reduce_sum(tf.cast(seen, tf.float64))
        shares = count * softmax_over(self.scores(wide, baseline), seen)
        shares = tf.where(
            epoch > self.measured_epoch, shares, tf.ones_like(shares)
        )
        return tf.where(
            seen, tf.cast(shares / wide, tf.float32), self.task_weights
        )

    def _measure(self, losses, epoch, seen):
        begins = (epoch == self.measured_epoch) & (epoch != self.epoch)
        steps = tf.where(begins, 0.0, self.steps)
        late = (epoch > self.measured_epoch) & (steps == 0.0)
        counts = seen & ((epoch == self.measured_epoch) | late)
        steps += tf.cast(counts, tf.float32)
        change = (losses - self.baseline) / tf.maximum(steps, 1.0)
        baseline = tf.where(counts, self.baseline + change, self.baseline)
        self.steps.assign(steps)
        self.baseline.assign(baseline)
        self.epoch.assign(epoch)
        return baseline
