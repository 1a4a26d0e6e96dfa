"""Columns of categories as one row of zeros and ones."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from keras_mtl.checks import integer


@keras.saving.register_keras_serializable(package="keras_mtl")
class OneHotColumns(keras.layers.Layer):
    """Writes several columns of categories as zeros and ones, in one row.

    Example:

    >>> OneHotColumns([2, 3])(np.array([[1, 3], [2, 0]]))
    [[1, 0, 0, 0, 1], [0, 1, 0, 0, 0]]

    Args:
        sizes: List of C integers, at least 1, categories of each column.

    Call arguments:
        inputs: `(B, C)` integers: of column c, 1 to `sizes[c]` for its
            categories, and 0 for one that is not known, which has no 1.

    Returns:
        `(B, sum(sizes))` in the layer's compute dtype.

    Raises:
        ValueError: If a size is not an integer of at least 1.
    """

    def __init__(self, sizes: Sequence[int], **kwargs):
        # Numbers of categories do not fit into a half's eleven bits.
        super().__init__(autocast=False, **kwargs)
        self.sizes = tuple(integer("sizes", size, 1) for size in sizes)
        self._columns = np.repeat(np.arange(len(self.sizes)), self.sizes)
        self._categories = np.concatenate(
            [np.arange(1, size + 1) for size in self.sizes]
        ).astype("int32")

    def call(self, inputs):
        """Returns the row of zeros and ones."""
        found = ops.take(inputs, self._columns.astype("int32"), axis=-1)
        equal = ops.equal(ops.cast(found, "int32"), self._categories)
        return ops.cast(equal, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Returns `(B, sum(sizes))`."""
        return (*input_shape[:-1], len(self._columns))

    def get_config(self):
        """Returns the arguments to make this layer again."""
        return {**super().get_config(), "sizes": list(self.sizes)}
