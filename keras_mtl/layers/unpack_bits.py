"""A layer that unpacks fingerprints which are stored as bits."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="keras_mtl")
class UnpackBits(keras.layers.Layer):
    """Turns packed bits into numbers, as `np.packbits` packs them.

    2,048 bits of a molecule are 256 bytes in memory and on their way to the
    model, 32 times less than numbers.

    Example:

    >>> UnpackBits()(np.packbits([[1, 0, 1, 0, 0, 0, 0, 0]], axis=1))
    array([[1., 0., 1., 0., 0., 0., 0., 0.]])

    Call arguments:
        inputs: `(B, D)` uint8.

    Returns:
        `(B, 8 D)`, 0 or 1, the highest bit of a byte first.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        # Keras would cast bytes to a float.
        self.autocast = False

    def call(self, inputs):
        """Returns the bits."""
        shifts = tf.range(7, -1, -1, dtype=tf.int32)
        bytes_ = tf.cast(inputs, tf.int32)[..., None]
        bits = tf.bitwise.bitwise_and(tf.bitwise.right_shift(bytes_, shifts), 1)
        return tf.cast(
            tf.reshape(bits, (-1, 8 * inputs.shape[-1])), self.compute_dtype
        )

    def compute_output_spec(self, inputs):
        """Returns the shape and type of the bits."""
        shape = (*inputs.shape[:-1], 8 * inputs.shape[-1])
        return keras.KerasTensor(shape, self.compute_dtype)
