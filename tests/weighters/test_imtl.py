import numpy as np
import tensorflow as tf

from keras_mtl.weighters import IMTL, IMTLG, IMTLL
from tests.weighters.trained import weights_while_trained


def problems(count=10):
    random = np.random.default_rng(0)
    for _ in range(count):
        jacobian = random.normal(size=(3, 8)) + 0.3
        yield jacobian, np.exp(random.normal(size=(3,)))


def test_it_is_imtl_g_on_the_gradients_of_the_scaled_losses():
    """In NumPy: `Σ α_k e^{s_k} g_k`, with IMTLG's α of the scaled rows."""
    for jacobian, scales in problems():
        imtl = IMTL()
        imtl.bind(3)
        imtl.log_scales.assign(np.log(scales))
        both = imtl.weigh(losses=np.ones(3), gramian=jacobian @ jacobian.T)
        rows = scales[:, None] * jacobian
        expected = np.float64(IMTLG()(gramian=rows @ rows.T)) @ rows
        update = np.float64(both.shared) @ jacobian
        size = np.abs(expected).max()
        np.testing.assert_allclose(update, expected, atol=1e-4 * size)
        np.testing.assert_allclose(both.heads, scales, rtol=1e-5)
        # All scaled gradients have one angle to the update.
        cosines = jacobian @ update / np.linalg.norm(jacobian, axis=1)
        np.testing.assert_allclose(cosines, cosines[0], rtol=1e-3)


def test_the_scales_are_trained_as_imtl_l_trains_them():
    losses = np.random.default_rng(1).uniform(0.2, 4.0, (20, 3))
    expected = weights_while_trained(IMTLL(), losses)
    imtl, gramian = IMTL(), np.float32(np.eye(3) + 0.2)
    imtl.bind(3)
    for row, scales in zip(np.float32(losses), expected, strict=True):
        with tf.GradientTape() as tape:
            both = imtl.weigh(losses=row, gramian=gramian)
            total = tf.reduce_sum(both.shared * row) + sum(imtl.losses)
        np.testing.assert_allclose(both.heads, scales, rtol=1e-5)
        gradient = tape.gradient(total, imtl.log_scales.value)
        imtl.log_scales.assign_sub(0.1 * gradient)


def test_the_scale_of_an_absent_task_gets_no_gradient():
    imtl = IMTL()
    imtl.bind(2)
    present = np.float32([1.0, 0.0])
    with tf.GradientTape() as tape:
        both = imtl.weigh(
            losses=[2.0, 0.0], gramian=np.diag([1.0, 0.0]), present=present
        )
        total = tf.reduce_sum(both.shared * [2.0, 0.0]) + sum(imtl.losses)
    np.testing.assert_allclose(both.shared, [1.0, 0.0], rtol=1e-6)
    gradient = tape.gradient(total, imtl.log_scales.value)
    np.testing.assert_allclose(gradient, [1.0, 0.0], rtol=1e-6)
