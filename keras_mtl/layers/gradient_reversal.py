"""A layer that reverses gradients, to train one part against another."""

import keras
import tensorflow as tf

from keras_mtl.checks import at_least


@keras.saving.register_keras_serializable(package="keras_mtl")
class GradientReversal(keras.layers.Layer):
    """Returns its inputs, and turns the gradient that comes back around.

    What follows the layer learns to lower a loss, and what comes before it to
    raise that loss.

    Example:

    >>> adversary = keras.Sequential(
    ...     [GradientReversal(), keras.layers.Dense(2)]
    ... )

    Args:
        strength: Float, at least 0, by which the turned gradient is
            multiplied.

    Call arguments:
        inputs: Tensor, or structure of tensors.

    Returns:
        The inputs.

    Raises:
        ValueError: If the strength is negative.

    Reference:
        - [Ganin and Lempitsky, 2015](https://arxiv.org/abs/1409.7495)
    """

    def __init__(self, strength: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.strength = at_least("strength", strength, 0.0)
        self.supports_masking = True

    def call(self, inputs):
        """Returns the inputs."""
        return keras.tree.map_structure(
            lambda tensor: reverse_gradient(tensor, self.strength), inputs
        )

    def compute_output_shape(self, inputs_shape):
        """Returns the shape of the inputs."""
        return inputs_shape

    def get_config(self):
        """Returns the arguments to make this layer again."""
        return {**super().get_config(), "strength": self.strength}


def reverse_gradient(tensor, strength):
    """Returns `tensor`, whose gradient is multiplied by `-strength`.

    Args:
        tensor: Float tensor.
        strength: Float, or float scalar.
    """

    @tf.custom_gradient
    def reverse(tensor):
        def gradient(upstream):
            return -tf.cast(strength, upstream.dtype) * upstream

        return tf.identity(tensor), gradient

    return reverse(tensor)
