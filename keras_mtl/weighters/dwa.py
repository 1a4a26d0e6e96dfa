"""Dynamic weight averaging."""

import keras
import tensorflow as tf

from keras_mtl.checks import above, between, one_of
from keras_mtl.weighters.base import Weighter


@keras.saving.register_keras_serializable(package="keras_mtl")
class DWA(Weighter):
    """Weights that grow with the rate at which a task's loss falls or rises.

    The ratio of a task's last two mean losses tells how it descends; the
    weights are K times the softmax of the ratios. A task whose loss falls
    slowest gets the largest weight.

    With `per="epoch"`, as published, the means are those of the last two
    epochs, and the weights are 1 for the first two. With `per="step"` they are
    moving averages, and the weights found in one step are used in the next.

    Example:

    >>> dwa = DWA(temperature=0.1, momentum=0.5)
    >>> dwa(losses=[1.0, 1.0])  # -> [1.0, 1.0]
    >>> dwa(losses=[0.5, 1.0])  # used in the next step -> [1.0, 1.0]
    >>> dwa(losses=[0.5, 1.0])  # ratios 0.75 and 1 -> [0.152, 1.848]

    Args:
        temperature: Float, above 0, the paper's `T`. The larger, the closer
            the weights are to 1.
        momentum: Float in [0, 1). Weight of the past in the moving averages;
            not used with `per="epoch"`.
        per: `"step"` or `"epoch"`.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task.
        present: `(K,)` float32, 1 for a task with a label in the batch.
        epoch: Float32 scalar, the number of epochs finished. Needed with
            `per="epoch"`.

    Returns:
        `(K,)` float32 weights, positive, summing to K.

    Raises:
        ValueError: If an argument is out of range, or if `epoch` is missing.

    Reference:
        - [Liu et al., 2019](https://arxiv.org/abs/1803.10704)
    """

    def __init__(
        self,
        temperature: float = 2.0,
        momentum: float = 0.9,
        per: str = "step",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.temperature = above("temperature", temperature, 0.0)
        self.momentum = between("momentum", momentum, 0.0, 1.0)
        self.per = one_of("per", per, ("step", "epoch"))

    @property
    def needs(self):
        """Names of the signals to pass to `call`."""
        return super().needs + (("epoch",) if self.per == "epoch" else ())

    def build(self, losses_shape):
        """Creates the mean losses and their ratios."""
        self.ratio = self.add_state("ratio", losses_shape, "ones")
        self.average = self.add_state("average", losses_shape)
        self.started = self.add_state("started", losses_shape)
        if self.per == "epoch":
            self.epoch = self.add_state("epoch", ())
            self.epoch_steps = self.add_state("epoch_steps", losses_shape)
            self.epoch_mean = self.add_state("epoch_mean", losses_shape)

    def call(self, losses, present=None, epoch=None):
        """Returns the weights and updates the mean losses."""
        seen = tf.ones_like(losses) if present is None else present
        seen = seen > 0.0
        if self.per == "step":
            weights = self._weights()
            average = self.momentum * self.average
            average += (1.0 - self.momentum) * losses
            self._take(average, first=losses, where=seen)
            return weights
        if epoch is None:
            raise ValueError(
                "DWA(per='epoch') needs the signal `epoch`, the number of "
                "epochs finished. Received: epoch=None"
            )
        self._end_epoch(epoch)
        steps = self.epoch_steps + tf.cast(seen, tf.float32)
        step = (losses - self.epoch_mean) / tf.maximum(steps, 1.0)
        self.epoch_mean.assign_add(tf.where(seen, step, 0.0))
        self.epoch_steps.assign(steps)
        return self._weights()

    def _end_epoch(self, epoch):
        over = tf.not_equal(epoch, self.epoch)
        mean = tf.convert_to_tensor(self.epoch_mean)
        self._take(mean, mean, where=over & (self.epoch_steps > 0.0))
        kept = tf.cast(~over, tf.float32)
        self.epoch_mean.assign(kept * self.epoch_mean)
        self.epoch_steps.assign(kept * self.epoch_steps)
        self.epoch.assign(epoch)

    def _take(self, average, first, where):
        """Makes `average` the latest mean loss of the tasks in `where`."""
        marks, past = map(tf.convert_to_tensor, (self.started, self.average))
        started = marks > 0.0
        ratio = tf.math.divide_no_nan(average, past)
        ratio = tf.where(
            started & (past != 0.0),
            # Losses that leap by more than float32 holds stay finite.
            tf.clip_by_value(ratio, -1e30, 1e30),
            1.0,
        )
        average = tf.where(started, average, first)
        self.ratio.assign(tf.where(where, ratio, self.ratio))
        self.average.assign(tf.where(where, average, past))
        self.started.assign(tf.where(where, 1.0, marks))

    def _weights(self):
        num_tasks = self.ratio.shape[0]
        return num_tasks * tf.nn.softmax(self.ratio / self.temperature)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {
            "temperature": self.temperature,
            "momentum": self.momentum,
            "per": self.per,
        }
        return {**super().get_config(), **own}
