"""The means of losses and weights that a training run reports."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.metrics.parts import Parts, check_distinct
from keras_mtl.training.logs import as_row


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

    Example:

    >>> logs = model.train_on_batch(x, y, return_dict=True)
    >>> logs["skipped_steps"]
    0.0
    >>> sorted(name for name in logs if name.endswith("_weight"))
    ['tone_weight', 'topic_weight']

    Args:
        losses: `TaskLosses` or `StackedLosses` of K tasks.
        discriminates: Boolean, whether a task discriminator has a loss too.
        name: String.
    """

    def __init__(self, losses, discriminates=False, name="loss"):
        super().__init__(name=name)
        self._losses, self._discriminates = losses, discriminates
        self._parts = None
        # Signals are global, so any replica holds the whole.
        self._whole = {
            "initializer": "zeros",
            "aggregation": "only_first_replica",
            # As losses and signals are, also where Keras' own type is another.
            "dtype": "float32",
        }
        self._totals = self.add_variable((5,), **self._whole)
        # Of the steps skipped: their number, the first variable whose gradient
        # was not finite (from 1), the latest loss, and how often it was which
        # task's that was not.
        self._skipped = self.add_variable(
            (3 + len(losses.task_names),), **self._whole
        )
        self._name_rows([])

    @property
    def has_layout(self) -> bool:
        """Whether it is known how many losses the tasks have."""
        return self._parts is not None

    def lay_out(self, outputs):
        """Makes room for the losses of predictions that are nested so."""
        if self.has_layout:
            return
        self._parts = Parts.of(self._losses, outputs)
        self._name_rows([f"{name}_loss" for name in self._parts.named])
        num_tasks = len(self._losses.task_names)
        self._sizes = [self._parts.number, self._parts.number, num_tasks]
        # Sums and counts of the losses, and weights.
        self._tasks = self.add_variable((sum(self._sizes),), **self._whole)

    def _name_rows(self, parts):
        names = self._losses.task_names
        losses = [*(f"{task}_loss" for task in names), *parts]
        weights = [f"{task}_weight" for task in names]
        # Names of the entries of each row; no task's name has a slash.
        others = ["skipped_steps"]
        if self._discriminates:
            others.append("discriminator_loss")
        self.rows = {
            "/training": ("loss", *losses, *weights, *others),
            "/evaluation": ("loss", *losses),
        }
        check_distinct(self.rows["/training"])

    def update_state(
        self, batch, weights=None, penalty=0.0, finite=True, first=-1
    ):
        """Adds one step.

        Args:
            batch: `TaskGradients`, for its losses and totals.
            weights: `(K,)` float32, the weights used; 1 by default.
            penalty: Float scalar, the weighter's own loss.
            finite: Boolean scalar; if false, the step was skipped.
            first: Integer scalar, the position of the first trainable variable
                whose gradient was not finite, or -1.
        """
        self.lay_out(batch.outputs)
        if weights is None:
            weights = tf.ones_like(batch.losses)
        fixed = self._losses.loss_weights
        weighted = tf.reduce_sum(fixed * weights * batch.losses)
        own, rows = batch.regularisation, batch.totals.rows
        loss = weighted + own + penalty
        means, counts = batch.totals.part_losses, batch.totals.part_counts
        tasks = tf.concat([means * counts, counts, weights], axis=0)
        totals = [
            loss * rows,
            own * rows,
            rows,
            1.0,
            batch.discriminator_loss * rows,
        ]
        self._tasks.assign_add(tf.where(finite, tasks, 0.0))
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
        totals, skipped = map(
            tf.convert_to_tensor, (self._totals, self._skipped)
        )
        return int(totals[3] + skipped[0])

    def faults(self) -> Faults:
        """Returns what was missing or not finite since the reset."""
        skipped = tf.convert_to_tensor(self._skipped).numpy()
        labelled = np.zeros(len(skipped) - 3, bool)
        if self.has_layout:
            labelled = self._parts.present(self._split()[1]).numpy()
        return Faults(labelled, skipped[3:] > 0.0, int(skipped[1]) - 1)

    def result(self):
        """Returns the means as a dict with the keys of History.

        The loss of a task that had no label is NaN.
        """
        if not self.has_layout:
            return {}
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
            *self._means(),
            self._split()[2] / steps,
            self._skipped[0],
        ]
        if self._discriminates:
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
        means = self._means()
        present = self._parts.present(self._split()[1])
        losses = tf.where(present, means[0], 0.0)
        total = tf.reduce_sum(self._losses.loss_weights * losses)
        return {"/evaluation": as_row([total + own, *means])}

    def _split(self):
        return tf.split(tf.convert_to_tensor(self._tasks), self._sizes)

    def _means(self):
        """Returns the losses of tasks, and those of their named parts."""
        sums, counts, _ = self._split()
        return self._parts.losses(sums, counts)

    def save_own_variables(self, store):
        """Saves nothing: the means of an epoch end with it."""

    def load_own_variables(self, store):
        """Loads nothing."""
