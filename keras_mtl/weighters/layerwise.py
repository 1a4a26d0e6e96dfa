"""The base class of weighters that may combine each layer separately."""

import tensorflow as tf

from keras_mtl.combination import Combination
from keras_mtl.weighters.gradient_weighter import GradientWeighter


class LayerwiseWeighter(GradientWeighter):
    """A weighter whose formula can be that of the scope, or of each layer.

    A layer is what owns variables: a kernel and its bias are one.

    Args:
        scope: As in `GradientWeighter`.
        per_layer: Boolean. Whether the tasks' gradients of each layer of the
            scope are weighed by themselves. `call` is then given
            `gramian_by_layer` instead of `signal`, and returns the mean
            weights over the layers; `weigh` returns those of the `layers` with
            them, `(layers, K)`.

    Raises:
        ValueError: If the scope is one without layers.
    """

    scales_heads = False
    default_scope = "shared"
    signal = "gramian"

    def __init__(self, scope=None, per_layer=False, **kwargs):
        super().__init__(scope=scope, **kwargs)
        self.per_layer = bool(per_layer)
        if self.per_layer and self.scope in ("representation", "auto"):
            raise ValueError(
                f"{type(self).__name__}(per_layer=True) weighs layers, and the "
                "representation has none: argument `scope` must be 'shared', "
                "'last_shared_layer', 'all' or name layers. "
                f"Received: scope={self.scope!r}"
            )

    @property
    def needs(self):
        """Names of the signals to pass to `call`."""
        signal = "gramian_by_layer" if self.per_layer else self.signal
        return (signal, "present")

    @property
    def weighs_finely(self):
        """Whether there is a weight for each layer."""
        return self.per_layer

    @property
    def layer_axis(self):
        """What the shape of a state begins with: `(layers,)` or `()`."""
        return (self.sizes["layer"],) if self.per_layer else ()

    def given(self, plain, by_layer):
        """Returns the one of two signals that is read, `(layers, ...)`.

        Raises:
            TypeError: If it is missing.
        """
        signal = by_layer if self.per_layer else plain
        if signal is None:
            raise TypeError(
                f"{type(self).__name__}(per_layer={self.per_layer}) must be "
                f"called with `{self.needs[0]}`."
            )
        return signal if self.per_layer else signal[None]

    def returned(self, weights):
        """Returns what `call` returns for weights `(layers, K)`."""
        if not self.per_layer:
            return weights[0]
        mean = tf.reduce_mean(weights, axis=0)
        return Combination(mean, tf.ones_like(mean), layers=weights)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        return {**super().get_config(), "per_layer": self.per_layer}
