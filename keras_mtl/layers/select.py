"""One entry of a dict of tensors."""

import keras


@keras.saving.register_keras_serializable(package="keras_mtl")
class Select(keras.layers.Layer):
    """Returns one entry of a dict of tensors.

    Example:

    >>> inputs = {"words": keras.ops.zeros(2), "age": keras.ops.ones(2)}
    >>> Select("age")(inputs)  # -> [1.0, 1.0]

    Args:
        key: String, the entry's name.

    Call arguments:
        inputs: Dict of tensors.

    Returns:
        `inputs[key]`.
    """

    def __init__(self, key: str, **kwargs):
        super().__init__(**kwargs)
        self.key = key

    def call(self, inputs):
        """Returns the entry."""
        return inputs[self.key]

    def compute_mask(self, inputs, previous_mask):
        """Returns the entry's own mask."""
        return None if previous_mask is None else previous_mask[self.key]

    def get_config(self):
        """Returns the arguments to make this layer again."""
        return {**super().get_config(), "key": self.key}
