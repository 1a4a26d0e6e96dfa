"""Weighters applied to the gradients of the losses' logarithms."""

import keras
import tensorflow as tf

from keras_mtl.combination import Combination
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.every import Every
from keras_mtl.weighters.periodic import Periodic
from keras_mtl.weighters.presence import seen_tasks
from keras_mtl.weighters.wrapper import Wrapper, same_heads

EPSILON = 1e-8


@keras.saving.register_keras_serializable(package="keras_mtl")
class OfLogLosses(Wrapper):
    """Another weighter, applied to the gradients of the losses' logarithms.

    The gradient of `log L` is that of `L` over `L`: a loss's unit no longer
    counts. The inner weighter sees norms over the losses, and Gramians over
    products of losses; its weights are divided by the losses. Each head is
    trained on its task's `log L`. These are the log variants of CAGrad, MGDA
    and IMTL in the literature.

    Example:

    >>> OfLogLosses("mgda")(
    ...     gramian=[[1.0, 0.0], [0.0, 4.0]], losses=[1.0, 2.0]
    ... )  # both gradients have norm 1 -> [0.5, 0.25]

    Args:
        weighter: `Weighter` that reads gradients and no losses, its name, or a
            config dict.

    Call arguments:
        **signals: Those of the inner weighter, `present`, and `losses`,
            `(K,)` float32, positive; 1e-8 is added.

    Returns:
        `(K,)` float32 weights: the inner weighter's over the losses. Heads
        have the reciprocal losses.

    Raises:
        ValueError: If the inner weighter reads losses or no gradients, or
            learns after the update, or its heads have weights of their own.

    Reference:
        - [Lin et al., 2023](https://arxiv.org/abs/2308.12029)
    """

    own_needs = ("losses", "present")

    @property
    def weighs_heads(self):
        """Whether heads have weights of their own: yes."""
        return True

    def __init__(self, weighter: Weighter | str | dict, **kwargs):
        super().__init__(weighter, **kwargs)
        same_heads(self)
        for inner in self.inside():
            if isinstance(inner, Periodic) and inner.period > 1:
                name = "Every" if isinstance(inner, Every) else inner.described
                raise ValueError(
                    f"OfLogLosses cannot go around {name}: the losses of a "
                    "step that measures nothing are not known. Use "
                    "Every(OfLogLosses(...))."
                )
        needs = {*self.weighter.needs, *self.weighter.observes}
        if not needs & set(_OF_LOGS) or needs - {*_OF_LOGS, "present", "epoch"}:
            raise ValueError(
                "OfLogLosses takes a weighter that reads gradients and no "
                f"losses: {', '.join(_OF_LOGS)}. Received: "
                f"{type(self.weighter).__name__}, which reads "
                f"{', '.join(sorted(needs))}. Use it alone, or choose another."
            )

    def translated(self, signals):
        """Returns the norms or the Gramian of the logarithms' gradients."""
        inverse = self._inverse(signals)
        return {
            name: _OF_LOGS[name](value, inverse) if name in _OF_LOGS else value
            for name, value in signals.items()
            if value is not None
        }

    def changed(self, weights, signals):
        """Returns the weights over the losses, and those of the heads."""
        inverse = self._inverse(signals)
        seen = seen_tasks(inverse, signals.get("present"))
        return Combination(
            weights.shared * inverse,
            tf.where(seen, inverse, tf.ones_like(inverse)),
        )

    def _inverse(self, signals):
        return 1.0 / (tf.maximum(signals["losses"], 0.0) + EPSILON)


# A signal of gradients of losses, and the same of their logarithms.
_OF_LOGS = {
    "gramian": lambda value, inverse: value * inverse[:, None] * inverse,
    "gradient_norms": lambda value, inverse: value * inverse,
}
