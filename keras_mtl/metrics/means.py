"""The means of losses and weights that a training run reports."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.logs import as_row


class Faults(NamedTuple):
    """What was missing or not finite in the steps of an epoch.

    Attributes:
        labelled: `(K,)` booleans, whether a task had a label in a step taken.
        spoilt: `(K,)` booleans, whether its loss was not finite in one that
            was skipped.
        variable: Integer, the position of the first trainable variable whose
            gradient was not finite in the first of these, or -1.
    """

    labelled: np.ndarray
    spoilt: np.ndarray
    variable: int


class TaskMeans(keras.metrics.Metric):
    """Means of losses and weights over the steps of an epoch.

    Two variables hold them all: a metric object per task would cost a third
    of the step at 128 tasks. A skipped step counts in `skipped_steps` only,
    and a mean over no step is NaN.

    Args:
        task_names: Tuple of K strings.
        loss_weights: `(K,)` float32, the fixed weights.
        discriminates: Boolean, whether a task discriminator has a loss too.
    """

    def __init__(
        self, task_names, loss_weights, discriminates=False, name="loss"
    ):
        super().__init__(name=name)
        losses = [f"{task}_loss" for task in task_names]
        weights = [f"{task}_weight" for task in task_names]
        # Names of the entries of each row; no task's name has a slash.
        others = ["skipped_steps"]
        if discriminates:
            others.append("discriminator_loss")
        self.rows = {
            "/training": ("loss", *losses, *weights, *others),
            "/evaluation": ("loss", *losses),
        }
        self._loss_weights = loss_weights
        # Signals are global, so any replica holds the whole.
        whole = {"initializer": "zeros", "aggregation": "only_first_replica"}
        self._tasks = self.add_variable((3, len(task_names)), **whole)
        self._totals = self.add_variable((5,), **whole)
        # Of the steps skipped: their number, the first variable whose gradient
        # was not finite (from 1), the latest loss, and how often it was which
        # task's that was not.
        self._skipped = self.add_variable((3 + len(task_names),), **whole)

    def update_state(
        self, batch, weights=None, penalty=0.0, finite=True, first=-1
    ):
        """Adds one step.

        Args:
            batch: `TaskGradients`, for its losses, counts and rows.
            weights: `(K,)` float32, the weights used; 1 by default.
            penalty: Float scalar, the weighter's own loss.
            finite: Boolean scalar; if false, the step was skipped.
            first: Integer scalar, the position of the first trainable variable
                whose gradient was not finite, or -1.
        """
        if weights is None:
            weights = tf.ones_like(batch.losses)
        weighted = tf.reduce_sum(self._loss_weights * weights * batch.losses)
        own = batch.regularisation
        loss = weighted + own + penalty
        tasks = [batch.losses * batch.counts, batch.counts, weights]
        totals = [
            loss * batch.rows,
            own * batch.rows,
            batch.rows,
            1.0,
            batch.discriminator_loss * batch.rows,
        ]
        self._tasks.assign_add(tf.where(finite, tf.stack(tasks), 0.0))
        self._totals.assign_add(tf.where(finite, tf.stack(totals), 0.0))
        skipped = tf.convert_to_tensor(self._skipped)
        first = tf.where(
            skipped[0] > 0.0, skipped[1], tf.cast(first + 1, "float32")
        )
        spoilt = tf.cast(~tf.math.is_finite(batch.losses), tf.float32)
        missed = tf.concat(
            [[skipped[0] + 1.0, first, loss], skipped[3:] + spoilt], axis=0
        )
        self._skipped.assign(tf.where(finite, skipped, missed))

    @property
    def steps(self) -> int:
        """How many steps were taken since the reset, skipped ones included."""
        return int(self._totals[3] + self._skipped[0])

    def faults(self) -> Faults:
        """Returns what was missing or not finite since the reset."""
        skipped = tf.convert_to_tensor(self._skipped).numpy()
        counts = tf.convert_to_tensor(self._tasks[1]).numpy()
        return Faults(counts > 0.0, skipped[3:] > 0.0, int(skipped[1]) - 1)

    def result(self):
        """Returns the means as a dict with the keys of History.

        The loss of a task that had no label is NaN.
        """
        (values,) = tf.unstack(self.training_logs()["/training"])
        names = self.rows["/training"]
        return dict(zip(names, tf.unstack(values), strict=True))

    def training_logs(self, before_a_step=float("nan")):
        """Returns the row of all means, for `StepLogs`.

        Args:
            before_a_step: Float scalar, the loss as long as no step counts.
        """
        objective, _, rows, steps, discriminator = tf.unstack(
            self._totals.value
        )
        loss = tf.where(steps > 0.0, objective / rows, before_a_step)
        row = [
            loss,
            self._losses(float("nan")),
            self._tasks[2] / steps,
            self._skipped[0],
        ]
        if "discriminator_loss" in self.rows["/training"]:
            row.append(discriminator / rows)
        return {"/training": as_row(row)}

    def running_logs(self):
        """Returns the row of means in an epoch that goes on.

        The loss of a step that was skipped stands for the mean as long as
        there is none, so that a loss that is NaN shows at once, and gradients
        that overflow until a loss scale is found do not count as such.
        """
        return self.training_logs(self._skipped[2])

    def evaluation_logs(self):
        """Returns the row of losses only, without the learned weights.

        Epochs compare: `loss` is the sum of the tasks' losses by their fixed
        weights, and the layers' own losses.
        """
        own = tf.math.divide_no_nan(self._totals[1], self._totals[2])
        total = tf.reduce_sum(self._loss_weights * self._losses(0.0))
        losses = self._losses(float("nan"))
        return {"/evaluation": as_row([total + own, losses])}

    def _losses(self, without_label):
        sums, counts, _ = tf.unstack(tf.convert_to_tensor(self._tasks))
        means = tf.math.divide_no_nan(sums, counts)
        return tf.where(counts > 0.0, means, without_label)

    def save_own_variables(self, store):
        """Saves nothing: the means of an epoch end with it."""

    def load_own_variables(self, store):
        """Loads nothing."""
