"""AdaTT's residual: a task's own experts, once more."""

import keras
from keras import ops

from keras_mtl.architectures.softmax_gate import precision


@keras.saving.register_keras_serializable(package="keras_mtl")
class Residual(keras.layers.Layer):
    """Adds free weights to those that a gate gives a task's own experts.

    A single expert is added as it is, with a weight of 1.

    Args:
        before: Integer, the number of experts before the task's own.
        num_own: Integer, the number of its own.

    Call arguments:
        inputs: `(B, E)` weights of a gate.

    Returns:
        `(B, E)`.
    """

    def __init__(self, before: int, num_own: int, **kwargs):
        # As precise as what gates return.
        super().__init__(**{"dtype": precision(), **kwargs})
        self.before, self.num_own = before, num_own

    def build(self, input_shape):
        """Creates a weight for each of several own experts."""
        self.weights_of_experts = None
        if self.num_own > 1:
            bound = self.num_own**-0.5
            self.weights_of_experts = self.add_weight(
                name="weights",
                shape=(self.num_own,),
                initializer=keras.initializers.RandomUniform(-bound, bound),
            )

    def call(self, inputs):
        """Returns the weights of the experts."""
        own = self.weights_of_experts
        if own is None:
            own = ops.ones(1, inputs.dtype)
        after = inputs.shape[-1] - self.before - self.num_own
        return inputs + ops.pad(own, [[self.before, after]])

    def get_config(self):
        """Returns the arguments to make this layer again."""
        own = {"before": self.before, "num_own": self.num_own}
        return {**super().get_config(), **own}
