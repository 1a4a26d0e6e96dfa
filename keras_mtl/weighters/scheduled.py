"""Another weighter's weights after a warm-up."""

import keras
import tensorflow as tf

from keras_mtl.checks import at_least, one_of
from keras_mtl.combination import Combination
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.presence import mean_over, seen_tasks
from keras_mtl.weighters.wrapper import Wrapper


@keras.saving.register_keras_serializable(package="keras_mtl")
class Scheduled(Wrapper):
    """Equal weights at first, then another weighter's.

    The inner weighter measures and learns from the first step on. Until
    `start` every task has the mean of its weights, so that the scale of the
    update does not leap; over the next `ramp` epochs or steps the weights go
    over to the inner weighter's linearly.

    Example:

    >>> scheduled = Scheduled("log_losses", start=1, ramp=2)
    >>> scheduled(losses=[0.5, 1.0], epoch=0)  # -> [1.5, 1.5]
    >>> scheduled(losses=[0.5, 1.0], epoch=2)  # half way -> [1.75, 1.25]
    >>> scheduled(losses=[0.5, 1.0], epoch=3)  # -> [2.0, 1.0]

    Args:
        weighter: `Weighter`, its name, or a config dict.
        start: Float, at least 0. Epochs or steps with equal weights.
        ramp: Float, at least 0. Epochs or steps from there to the inner
            weighter's weights.
        per: `"epoch"` or `"step"`, the unit of both. Steps are those that
            this weighter has had; epochs are counted anew in each `fit` that
            begins at epoch 0.

    Call arguments:
        **signals: Those of the inner weighter, `present`, and `epoch` with
            `per="epoch"`.

    Returns:
        `(K,)` float32 weights, of the inner weighter's scale.

    Raises:
        ValueError: If an argument is out of range, or `epoch` is missing.
    """

    def __init__(
        self,
        weighter: Weighter | str | dict,
        start: float = 1.0,
        ramp: float = 0.0,
        per: str = "epoch",
        **kwargs,
    ):
        super().__init__(weighter, **kwargs)
        self.start = at_least("start", start, 0.0)
        self.ramp = at_least("ramp", ramp, 0.0)
        self.per = one_of("per", per, ("epoch", "step"))

    @property
    def own_needs(self):
        """Names of the signals that this weighter reads itself."""
        return ("present", "epoch") if self.per == "epoch" else ("present",)

    def build(self):
        """Creates the time so far."""
        self.time = self.add_state("time", ())

    def changed(self, weights, signals):
        """Returns equal weights, the inner weighter's, or between."""
        time = tf.convert_to_tensor(self.time)
        if self.per == "step":
            self.time.assign(time + 1.0)
        elif signals:
            if signals.get("epoch") is None:
                raise ValueError(
                    "Scheduled(per='epoch') needs the signal `epoch`, the "
                    "number of epochs finished. Received: epoch=None"
                )
            time = signals["epoch"]
            self.time.assign(time)
        # A ramp of no length begins and ends at once.
        share = tf.cast(time >= self.start, tf.float32)
        if self.ramp:
            share = tf.clip_by_value((time - self.start) / self.ramp, 0.0, 1.0)
        seen = seen_tasks(weights.shared, signals.get("present"))

        def between(vector):
            if vector is None:
                return None
            equal = mean_over(vector, seen)
            return tf.where(
                share < 1.0, equal + share * (vector - equal), vector
            )

        return Combination(*map(between, weights))

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {"start": self.start, "ramp": self.ramp, "per": self.per}
        return {**super().get_config(), **own}
