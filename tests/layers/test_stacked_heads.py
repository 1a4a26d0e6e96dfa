"""Stacked heads do what a Dense head for each task does."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_mtl.layers import StackedHeads


def dense_twins(layer, features):
    """Returns a built `Dense` for each task, with its part of the weights."""
    units = layer.units
    twins = []
    for k in range(len(layer.task_names)):
        dense = keras.layers.Dense(
            units, layer.activation, use_bias=layer.use_bias
        )
        dense.build((None, features))
        part = slice(k * units, (k + 1) * units)
        dense.kernel.assign(layer.kernel[:, part])
        if layer.use_bias:
            dense.bias.assign(layer.bias[part])
        twins.append(dense)
    return twins


@settings(max_examples=10)
@given(
    num_tasks=st.integers(1, 5),
    units=st.integers(1, 3),
    activation=st.sampled_from(["sigmoid", "softmax", None]),
    use_bias=st.booleans(),
)
def test_predicts_what_dense_layers_do(num_tasks, units, activation, use_bias):
    if units == 1 and activation == "softmax":
        activation = "tanh"  # Keras warns.
    names = [f"t{k}" for k in range(num_tasks)]
    layer = StackedHeads(
        names,
        units,
        activation,
        use_bias,
        bias_initializer="random_normal",
    )
    x = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
    received = layer(x)
    twins = dense_twins(layer, 4)
    expected = np.stack([twin(x) for twin in twins], axis=1)
    if units == 1:
        expected = expected[..., 0]
    assert received.shape == expected.shape
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)


@settings(max_examples=10)
@given(
    features=st.integers(1, 300),
    units=st.integers(1, 4),
    initializer=st.sampled_from(
        ["glorot_uniform", "he_uniform", "lecun_normal", "random_normal"]
    ),
)
def test_a_head_starts_as_if_alone(features, units, initializer):
    """Neither the number of tasks nor the other heads show in its values."""
    num_tasks = 5000 // (features * units) + 20
    layer = StackedHeads(
        [f"t{k}" for k in range(num_tasks)],
        units,
        kernel_initializer=initializer,
    )
    layer.build((None, features))
    kernel = layer.kernel.numpy()
    variance = {
        "glorot_uniform": 2.0 / (features + units),
        "he_uniform": 2.0 / features,
        "lecun_normal": 1.0 / features,
        "random_normal": 0.05**2,
    }[initializer]
    assert np.std(kernel) == pytest.approx(variance**0.5, rel=0.1)
    if initializer.endswith("uniform"):
        assert np.abs(kernel).max() <= (3 * variance) ** 0.5 * (1 + 1e-6)
    assert len(np.unique(kernel)) > 0.99 * kernel.size


def test_other_initializers_are_called_for_each_head():
    layer = StackedHeads(["a", "b"], 2, kernel_initializer="orthogonal")
    layer.build((None, 3))
    for part in np.split(layer.kernel.numpy(), 2, axis=1):
        np.testing.assert_allclose(part.T @ part, np.eye(2), atol=1e-5)
    identity = StackedHeads(["a", "b"], 2, kernel_initializer="identity")
    identity.build((None, 2))
    np.testing.assert_array_equal(identity.kernel, np.tile(np.eye(2), 2))


def test_regularisers_are_those_of_the_heads():
    layer = StackedHeads(
        ["a", "b"], 2, kernel_regularizer="l2", bias_regularizer="l1"
    )
    layer(np.ones((1, 3), "float32"))
    layer.bias.assign([1.0, -2.0, 3.0, 4.0])
    l1, l2 = keras.regularizers.L1(), keras.regularizers.L2()
    expected = l1(layer.bias) + sum(l2(d.kernel) for d in dense_twins(layer, 3))
    np.testing.assert_allclose(sum(layer.losses), expected, rtol=1e-6)


def test_config_and_weights_survive(tmp_path):
    layer = StackedHeads(
        ["b", "a"],
        2,
        "softmax",
        kernel_initializer=keras.initializers.HeNormal(seed=3),
        kernel_regularizer=keras.regularizers.L2(0.1),
    )
    assert StackedHeads.from_config(layer.get_config()).get_config() == (
        layer.get_config()
    )
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    x = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(loaded(x), model(x))


def test_weights_of_other_tasks_are_refused():
    first, second = (StackedHeads(names) for names in (["b", "a"], ["a", "b"]))
    for layer in (first, second):
        layer.build((None, 3))
    store = {}
    first.save_own_variables(store)
    with pytest.raises(ValueError, match=r"Received: \['b', 'a'\]$"):
        second.load_own_variables(store)


def test_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    layer = StackedHeads(["a", "b"])
    assert layer(np.ones((2, 3), "float32")).dtype == tf.float16
    assert layer.kernel.dtype == "float32"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"task_names": []}, "must be a list with at least one string"),
        ({"task_names": "abc"}, "must be a list with at least one string"),
        ({"task_names": 50}, "must be a list with at least one string"),
        ({"task_names": ["a", ""]}, "task's name must be a string, not empty"),
        ({"task_names": ["a", "b/c"]}, "without '/'. Received: 'b/c'"),
        ({"task_names": ["a", 3]}, "Received: 3"),
        ({"task_names": ["a", "b", "a"]}, r"Received twice: \['a'\]"),
        ({"task_names": ["a"], "units": 0}, "`units` must be at least 1"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        StackedHeads(**arguments)


def test_a_representation_with_more_axes():
    with pytest.raises(ValueError, match=r"a representation of shape \(B, D\)"):
        StackedHeads(["a"])(np.ones((2, 3, 4), "float32"))
