"""Another weighter's weights, within limits."""

import keras
import tensorflow as tf

from keras_mtl.checks import above, finite
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.wrapper import Wrapper, same_heads


@keras.saving.register_keras_serializable(package="keras_mtl")
class Clipped(Wrapper):
    """Another weighter's weights, none below or above a limit.

    The limits are in the scale of the inner weighter: `mgda`'s weights sum to
    1, `slaw`'s to K. What is cut off is not given to other tasks, so that a
    fixed sum is lost.

    Example:

    >>> Clipped("log_losses", 0.5, 2.0)(losses=[0.1, 1.0, 9.0])
    [2.0, 1.0, 0.5]

    Args:
        weighter: `Weighter`, its name, or a config dict.
        lowest: Float, the least weight.
        highest: Float, above `lowest`, the largest. `None` sets no limit.

    Call arguments:
        **signals: Those of the inner weighter.

    Returns:
        `(K,)` float32 weights.

    Raises:
        ValueError: If an argument is out of range, or the inner weighter's
            heads have weights of their own.
    """

    def __init__(
        self,
        weighter: Weighter | str | dict,
        lowest: float = 0.0,
        highest: float | None = None,
        **kwargs,
    ):
        super().__init__(weighter, **kwargs)
        self.lowest = finite("lowest", lowest)
        if highest is not None:
            highest = above("highest", highest, self.lowest)
        self.highest = highest
        same_heads(self)

    def adapt(self, weights, signals):
        """Returns the weights within the limits."""
        weights = tf.maximum(weights, self.lowest)
        if self.highest is None:
            return weights
        return tf.minimum(weights, self.highest)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {"lowest": self.lowest, "highest": self.highest}
        return {**super().get_config(), **own}
