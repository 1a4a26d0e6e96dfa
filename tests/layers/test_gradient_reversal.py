"""The same forward, the opposite backward."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.layers import GradientReversal


@pytest.mark.parametrize("kind", ["eager", "graph", "xla"])
@pytest.mark.parametrize("strength", [0.0, 1.0, 0.3])
def test_the_gradient_is_minus_strength_times_that_behind(kind, strength):
    """`d/dx Σ c x²` behind the layer is `-strength · 2 c x`."""
    layer = GradientReversal(strength)
    c, x = tf.constant([1.0, -2.0, 0.5]), tf.constant([3.0, 1.0, -4.0])

    def backward(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = layer(x)
            loss = tf.reduce_sum(c * output**2)
        return output, tape.gradient(loss, x)

    if kind != "eager":
        backward = tf.function(backward, jit_compile=kind == "xla")
    output, gradient = backward(x)
    np.testing.assert_array_equal(output, x)
    np.testing.assert_allclose(gradient, -strength * 2 * c * x, rtol=1e-6)


def test_half_precision_and_structures():
    layer = GradientReversal(2.0, dtype="mixed_float16")
    x = {"a": tf.ones((2, 1), "float16"), "b": tf.zeros((2, 3), "float16")}
    with tf.GradientTape() as tape:
        tape.watch(x)
        output = layer(x)
    pulled = tape.gradient(output, x)
    for name, value in x.items():
        assert output[name].dtype == pulled[name].dtype == value.dtype
        np.testing.assert_array_equal(pulled[name], -2 * np.ones(value.shape))


def test_a_model_with_it_is_saved(tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, GradientReversal(0.5)(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[-1].strength == 0.5


def test_a_negative_strength():
    with pytest.raises(ValueError) as error:
        GradientReversal(-1.0)
    assert str(error.value) == (
        "Argument `strength` must be at least 0. Received: strength=-1.0"
    )
