"""The product of probabilities against 50 digits."""

import decimal

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.layers import ProductProbability

LOGITS = [-90.0, -30.0, -4.0, -0.3, 0.0, 0.7, 5.0, 30.0, 90.0]
# Below it, float32 has fewer digits.
SMALLEST = 1e-37
PAIRS = np.array([(a, b) for a in LOGITS for b in LOGITS], "float32")


def exact(a, b):
    """Returns p, and cross entropies for labels 0 and 1."""
    with decimal.localcontext() as context:
        context.prec = 60
        one = decimal.Decimal(1)
        sigmoid = [
            one / (one + (-decimal.Decimal(float(z))).exp()) for z in (a, b)
        ]
        p = sigmoid[0] * sigmoid[1]
        return float(p), float(-(one - p).ln()), float(-p.ln())


def test_value_loss_and_gradient_keep_their_digits():
    logits = [tf.Variable(PAIRS[:, k]) for k in range(2)]
    expected = np.array([exact(a, b) for a, b in PAIRS])
    layer = ProductProbability()
    loss = keras.losses.BinaryCrossentropy(reduction=None)
    np.testing.assert_allclose(layer(logits), expected[:, 0], 1e-5, SMALLEST)
    for label, column in ((0.0, 1), (1.0, 2)):
        labels = np.full((len(PAIRS), 1), label, "float32")
        with tf.GradientTape() as tape:
            p = layer([z[:, None] for z in logits])
            values = loss(labels, p)
        np.testing.assert_allclose(values, expected[:, column], 2e-5, SMALLEST)
        gradient = tape.gradient(values, logits[0])
        assert np.all(np.isfinite(gradient))
        if label:  # ∂(-log p)/∂a = -(1 - sigmoid(a)).
            slope = -1.0 / (1.0 + np.exp(PAIRS[:, 0].astype("float64")))
            np.testing.assert_allclose(gradient, slope, rtol=1e-5, atol=1e-30)
    logit = ProductProbability(logits=True)(logits)
    rest = expected[:, 1] - expected[:, 2]
    np.testing.assert_allclose(logit, rest, rtol=1e-4, atol=1e-5)


def test_esmm_trains_on_clicks_and_purchases():
    """Rounded probabilities would give no gradient at logits of -40."""
    inputs = keras.Input((2,))
    click = keras.layers.Dense(
        1, bias_initializer=keras.initializers.Constant(-40.0)
    )(inputs)
    buy = keras.layers.Dense(1)(inputs)
    outputs = {
        "ctr": keras.layers.Activation("sigmoid", name="ctr")(click),
        "ctcvr": ProductProbability(name="ctcvr")([click, buy]),
    }
    model = MultiTaskModel.from_functional(keras.Model(inputs, outputs))
    model.compile(keras.optimizers.SGD(1.0), loss="binary_crossentropy")
    x = np.ones((4, 2), "float32")
    y = {task: np.ones((4, 1), "float32") for task in outputs}
    logs = model.train_on_batch(x, y, return_dict=True)
    assert logs["ctcvr_loss"] > 35.0
    after = model.evaluate(x, y, verbose=0, return_dict=True)
    assert after["ctcvr_loss"] < logs["ctcvr_loss"] - 2.0


def test_one_tensor_is_no_list():
    with pytest.raises(ValueError, match="of a list of logits"):
        ProductProbability()(np.zeros((2, 1), "float32"))
