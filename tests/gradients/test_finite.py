"""Which gradient is not finite: any kind of tensor, and products of two."""

import pytest
import tensorflow as tf

from keras_mtl.gradients.finite import first_not_finite

NAN, INF = float("nan"), float("inf")


def test_the_first_one_is_found():
    huge, half = tf.constant([3e38] * 4), tf.fill([4], tf.float16.max)
    assert first_not_finite([]) == first_not_finite([None]) == -1
    assert first_not_finite([None, huge, half]) == -1  # Sums overflow.
    both = tf.constant([INF, -INF])
    assert first_not_finite([huge, None, both, tf.constant([NAN])]) == 2
    rows = tf.IndexedSlices(tf.constant([[NAN]]), tf.constant([5]))
    assert first_not_finite([half, rows]) == 1

    @tf.function(input_signature=[tf.TensorSpec(None)])
    def of_any_rank(value):
        return first_not_finite([value])

    assert of_any_rank(huge) == -1
    assert of_any_rank(both) == 0


@pytest.mark.parametrize("batch", [2, None])
def test_a_product_is_judged_by_its_factors(batch):
    """Against every entry of the product, also where neither norm tells."""
    specs = [tf.TensorSpec((batch, size)) for size in (1400, 1500)]

    @tf.function(input_signature=specs)
    def judged(left, right):
        product = tf.matmul(left, right, transpose_a=True)
        graph = tf.compat.v1.get_default_graph()
        known = len(graph.get_operations())
        first = first_not_finite([None, product])
        new = [op.type for op in graph.get_operations()[known:]]
        assert "L2Loss" in new
        assert "Sum" not in new
        return first, tf.reduce_all(tf.math.is_finite(product))

    for a in (0.0, 1e-30, 1.0, 1e25, 3e38, NAN, INF, -INF):
        for b in (0.0, 1e-30, 1.0, 1e25, 3e38, NAN, INF):
            left, right = tf.ones((2, 1400)), tf.ones((2, 1500))
            left = tf.tensor_scatter_nd_update(left, [[1, 3]], [a])
            first, finite = judged(left, right * b)
            assert first == (-1 if finite else 1), (a, b)
