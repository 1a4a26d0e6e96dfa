"""Embedding gradients: inner products without a dense copy."""

import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.gradients.sparse import compact_rows
from keras_mtl.gradients.sums import square, weighted_sum


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("vocabulary", [3, 12, 1000])
def test_inner_products_are_those_of_the_dense_gradients(
    vocabulary, jit_compile
):
    rng = np.random.default_rng(vocabulary)
    table = tf.Variable(tf.zeros((vocabulary, 4)))
    rows = [tf.constant(rng.integers(0, vocabulary, n)) for n in (5, 9)]
    pulls = [tf.constant(rng.normal(size=(n, 4)), tf.float32) for n in (5, 9)]

    def gradients():
        with tf.GradientTape(persistent=True) as tape:
            looked_up = [tf.gather(table, r) for r in rows]
        return [
            tape.gradient(value, table, output_gradients=pull)
            for value, pull in zip(looked_up, pulls, strict=True)
        ]

    def compact():
        first, second = gradients()
        return compact_rows([first, None, second])

    first, missing, second = tf.function(compact, jit_compile=jit_compile)()
    assert missing is None
    assert first.shape[0] == min(vocabulary, 14)
    dense = [tf.convert_to_tensor(g).numpy().ravel() for g in gradients()]
    for a, b, expected in [
        (first, second, dense[0] @ dense[1]),
        (first, first, dense[0] @ dense[0]),
    ]:
        assert float(tf.reduce_sum(a * b)) == pytest.approx(expected, rel=1e-4)


def test_squares_and_sums_are_those_of_the_dense_gradients():
    """Where two slices are of one row."""
    values = tf.reshape(tf.range(1.0, 7.0), (3, 2))
    rows, shape = tf.constant([4, 1, 4]), tf.constant([5, 2])
    sparse = tf.IndexedSlices(values, rows, shape)
    dense = tf.convert_to_tensor(sparse).numpy()
    assert float(square(sparse)) == np.sum(dense**2)
    total = weighted_sum([sparse, None, sparse], [2.0, 5.0, -0.5])
    assert isinstance(total, tf.IndexedSlices)
    np.testing.assert_allclose(tf.convert_to_tensor(total), 1.5 * dense)
