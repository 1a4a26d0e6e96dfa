"""Columns of categories as zeros and ones."""

import keras
import numpy as np
import pytest

from keras_mtl.layers import OneHotColumns

SIZES = (2, 3_000, 1)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_a_one_stands_where_each_column_says(policy):
    layer = OneHotColumns(SIZES, dtype=policy)
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    ids = np.array([[1, 2_999, 1], [2, 0, 1], [0, 3_000, 0], [3, 1, 9]])
    # By hand: the columns begin at 0, 2 and 3,002; no category, no one.
    expected = np.zeros((4, 3_003))
    rows = [(0, 0), (0, 3_000), (0, 3_002), (1, 1), (1, 3_002)]
    rows += [(2, 3_001), (3, 2)]
    expected[tuple(np.transpose(rows))] = 1.0
    received = again(ids)
    assert received.dtype == keras.DTypePolicy(policy).compute_dtype
    np.testing.assert_array_equal(received, expected)
    shape = layer.compute_output_shape((None, 3))
    assert shape == (None, 3_003)


def test_sizes_are_counts():
    with pytest.raises(ValueError, match="`sizes` must be at least 1"):
        OneHotColumns([2, 0])
