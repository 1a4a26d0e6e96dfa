"""Moving averages of another weighter's weights."""

import keras
import tensorflow as tf

from keras_mtl.checks import between
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.presence import seen_tasks
from keras_mtl.weighters.wrapper import Wrapper


@keras.saving.register_keras_serializable(package="keras_mtl")
class Smoothed(Wrapper):
    """The moving average of another weighter's weights (CR-MOGM).

    Weights that jump from batch to batch make stochastic updates that need not
    converge; their average does. The paper lets the momentum rise to 1 as the
    learning rate falls. Heads with weights of their own keep them.

    Example:

    >>> smoothed = Smoothed("log_losses", momentum=0.5)
    >>> smoothed(losses=[1.0, 1.0])  # -> [1.0, 1.0]
    >>> smoothed(losses=[0.5, 1.0])  # half way to [2.0, 1.0] -> [1.5, 1.0]

    Args:
        weighter: `Weighter`, its name, or a config dict.
        momentum: Float in [0, 1). Weight of the past.

    Call arguments:
        **signals: Those of the inner weighter, and `present`. An absent task
            keeps its average.

    Returns:
        `(K,)` float32 weights, of the inner weighter's scale.

    Raises:
        ValueError: If `momentum` is out of range.

    Reference:
        - [Zhou et al., 2022](https://openreview.net/forum?id=niwGUBZaqC)
    """

    own_needs = ("present",)

    def __init__(
        self, weighter: Weighter | str | dict, momentum: float = 0.9, **kwargs
    ):
        super().__init__(weighter, **kwargs)
        self.momentum = between("momentum", momentum, 0.0, 1.0)

    def build(self):
        """Creates the averages."""
        shape = self.task_weights.shape
        self.average = self.add_state("average", shape)
        self.started = self.add_state("started", shape)

    def adapt(self, weights, signals):
        """Updates the averages and returns them."""
        seen = seen_tasks(weights, signals.get("present"))
        past = tf.where(self.started > 0.0, self.average, weights)
        average = past + (1.0 - self.momentum) * (weights - past)
        average = tf.where(seen, average, self.average)
        self.average.assign(average)
        self.started.assign(tf.where(seen, 1.0, self.started))
        return average

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        return {**super().get_config(), "momentum": self.momentum}
