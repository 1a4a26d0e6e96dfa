"""Weighters per layer: each layer's weights and update are its own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.gradients import roles
from keras_mtl.testing import signal_families
from keras_mtl.weighters import GradVac, MetaBalance, PCGrad, Smoothed
from tests.training import TASKS, make_data, new_model

RATE = 0.5
FIXED = np.array([0.5, 2.0, 1.0], "float32")
WEIGHTERS = {
    "PCGrad": lambda **given: PCGrad(seed=1, **given),
    "GradVac": lambda **given: GradVac(seed=1, **given),
    "MetaBalance": lambda **given: MetaBalance(primary=1, **given),
}


@pytest.mark.parametrize("name", WEIGHTERS)
def test_each_layer_has_the_weights_that_it_would_have_alone(name):
    weighter = WEIGHTERS[name](per_layer=True)
    alone = [WEIGHTERS[name]() for _ in range(4)]
    sequence = signal_families.signal_sequence(weighter, 3)
    sequence.append(signal_families.without_task(sequence[0], 2))
    for signals in sequence:
        received = weighter.weigh(**signals)
        expected = []
        for one, gramian in zip(
            alone, signals["gramian_by_layer"], strict=True
        ):
            norms = np.sqrt(np.diag(gramian))
            given = {"gramian": gramian, "gradient_norms": norms}
            present = signals["present"]
            expected.append(
                one(**{one.signal: given[one.signal]}, present=present)
            )
        np.testing.assert_allclose(received.layers, expected, rtol=1e-6)
        np.testing.assert_allclose(
            received.shared, np.mean(expected, axis=0), rtol=1e-6
        )
        np.testing.assert_array_equal(received.heads, 1.0)


def tokens():
    """Returns a model with a table and two layers, and its data."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((3,), dtype="int32")
    hidden = layers.Flatten()(layers.Embedding(40, 2)(inputs))
    hidden = layers.Dense(5, "tanh")(layers.Dense(4, "tanh")(hidden))
    heads = {task: layers.Dense(2, name=task) for task in TASKS}
    model = MultiTaskModel(keras.Model(inputs, hidden), heads)
    random = np.random.default_rng(1)
    x = random.integers(40, size=(6, 3)).astype("int32")
    y = {t: random.normal(size=(6, 2)).astype("float32") for t in TASKS}
    return model, x, y


def by_hand(model, x, y):
    """Returns each shared layer's gradients, `(K, P)`, the table's dense."""
    rows = []
    for task in TASKS:
        with tf.GradientTape() as tape:
            error = model(x)[task] - y[task]
            loss = tf.reduce_mean(error**2)
        pulled = tape.gradient(
            loss, [v.value for v in roles.shared_variables(model)]
        )
        rows.append([np.ravel(tf.convert_to_tensor(g)) for g in pulled])
    table, *rest = (np.stack(part) for part in zip(*rows, strict=True))
    pairs = zip(rest[::2], rest[1::2], strict=True)
    return [table, *(np.concatenate(pair, axis=1) for pair in pairs)]


def test_a_step_combines_each_layer_by_itself():
    model, x, y = tokens()
    model.compile(
        keras.optimizers.SGD(RATE),
        "mse",
        loss_weights=dict(zip(TASKS, FIXED.tolist(), strict=True)),
        weighter=PCGrad(shuffle=False, per_layer=True),
        jit_compile=False,
    )
    model(x)
    variables = roles.shared_variables(model)
    before = np.concatenate([np.ravel(v) for v in variables])
    weights, expected = [], []
    for gradients in by_hand(model, x, y):
        gradients = FIXED[:, None] * gradients
        gramian = gradients @ gradients.T
        weights.append(PCGrad(shuffle=False)(gramian=gramian).numpy())
        expected.append(weights[-1] @ gradients)
    assert np.ptp(weights, axis=0).max() > 0.1
    model.train_on_batch(x, y)
    after = np.concatenate([np.ravel(v) for v in variables])
    np.testing.assert_allclose(
        before - after, RATE * np.concatenate(expected), atol=1e-6
    )
    np.testing.assert_allclose(
        model.weighter.task_weights, np.mean(weights, axis=0), rtol=1e-4
    )


def test_two_replicas_are_one_device(strategy):
    weighter = GradVac(shuffle=False, per_layer=True)
    with strategy.scope():
        received = new_model(weighter, keras.optimizers.SGD(0.05))
    weighter = GradVac(shuffle=False, per_layer=True)
    expected = new_model(weighter, keras.optimizers.SGD(0.05))
    for model in (received, expected):
        x, y = make_data(13)
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0, epochs=2)
    for mine, other in zip(
        [*received.trainable_variables, received.weighter.usual],
        [*expected.trainable_variables, expected.weighter.usual],
        strict=True,
    ):
        mine, other = (tf.convert_to_tensor(v) for v in (mine, other))
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=2e-5)


def test_refusals():
    with pytest.raises(ValueError, match="must be 'shared', 'last_shared"):
        PCGrad(per_layer=True, scope="auto")
    with pytest.raises(TypeError, match="called with `gramian_by_layer`"):
        PCGrad(per_layer=True)(gramian=np.eye(2))
    with pytest.raises(ValueError, match="Use PCGrad without Smoothed"):
        Smoothed(PCGrad(per_layer=True))
