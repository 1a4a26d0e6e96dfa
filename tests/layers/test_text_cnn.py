import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.layers import TextCNN

SMALL = {
    "vocabulary_size": 20,
    "embedding_dim": 4,
    "num_filters": 6,
    "kernel_sizes": (2, 3),
}
TEXTS = np.array([[5, 6, 7, 8, 9], [3, 2, 0, 0, 0]])


def with_biases(layer):
    """Gives every filter a positive bias, which padding alone would show."""
    layer(TEXTS)
    for weight in layer.trainable_variables:
        if weight.path.endswith("bias"):
            weight.assign(np.full(weight.shape, 0.7))
    return layer


@pytest.mark.parametrize("count", [2, 6])
def test_output_is_the_strongest_match_of_each_filter(count):
    layer = with_biases(TextCNN(**{**SMALL, "num_filters": count}))
    table, *filters = layer.get_weights()
    words = np.pad(table[TEXTS[0]], [(0, 1), (0, 0)])
    # Keras pads a filter of two words on the right.
    windows = np.stack([words[i : i + 2].ravel() for i in range(5)])
    kernel, bias = filters[:2]
    outputs = windows @ kernel.reshape(8, count) + bias
    expected = np.maximum(outputs, 0).max(axis=0)
    np.testing.assert_allclose(layer(TEXTS)[0, :count], expected, rtol=1e-5)
    assert layer(TEXTS).shape == layer.compute_output_shape(TEXTS.shape)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("seed", range(5))
def test_gradients_are_those_of_rectified_convolutions(seed, dtype):
    rng = np.random.default_rng(seed)
    texts = rng.integers(1, 200, (6, 11))
    for row, length in enumerate((11, 9, 4, 2, 1, 0)):
        texts[row, length:] = 0
    arguments = {**SMALL, "vocabulary_size": 200, "kernel_sizes": (1, 2, 5)}
    layer = TextCNN(**arguments, dropout=0.0, dtype=dtype)
    layer(texts)
    for weight in layer.trainable_variables:
        weight.assign(rng.normal(size=weight.shape))
    cotangent = rng.normal(size=(6, 18))
    table, *filters = [
        tf.Variable(values.astype("float64")) for values in layer.get_weights()
    ]
    with tf.GradientTape() as tape:
        present = tf.cast(texts != 0, "float64")[..., None]
        vectors = tf.gather(table, texts) * present
        matches = [
            tf.nn.relu(tf.nn.conv1d(vectors, kernel, 1, "SAME") + bias)
            for kernel, bias in zip(filters[::2], filters[1::2], strict=True)
        ]
        expected = tf.concat(
            [tf.reduce_max(match * present, axis=1) for match in matches], -1
        )
    wanted = tape.gradient(expected, [table, *filters], cotangent)
    with tf.GradientTape() as tape:
        outputs = layer(texts)
    cotangent = tf.cast(cotangent, dtype)
    got = tape.gradient(
        outputs, [v.value for v in layer.trainable_weights], cotangent
    )
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(outputs, expected, tolerance, tolerance)
    for gradient, reference in zip(got, wanted, strict=True):
        np.testing.assert_allclose(
            tf.convert_to_tensor(gradient),
            tf.convert_to_tensor(reference),
            tolerance,
            tolerance,
        )


@pytest.mark.parametrize("extra", [1, 4, 30])
def test_padding_has_no_effect(extra):
    layer = with_biases(TextCNN(**SMALL))
    longer = np.pad(TEXTS, [(0, 0), (0, extra)])
    np.testing.assert_allclose(layer(longer), layer(TEXTS), rtol=1e-5)


def test_an_empty_text_gives_zeros():
    layer = with_biases(TextCNN(**SMALL))
    assert not np.any(layer(np.zeros((2, 5), "int32")))


def test_dropout_only_in_training():
    layer = TextCNN(**SMALL, dropout=0.5)
    np.testing.assert_array_equal(layer(TEXTS), layer(TEXTS))
    dropped = layer(TEXTS, training=True)
    assert np.any(np.asarray(dropped) != layer(TEXTS))


@pytest.mark.parametrize("trainable", [True, False])
def test_starts_from_given_embeddings(trainable):
    matrix = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
    layer = TextCNN(**SMALL, embeddings=matrix, trainable_embeddings=trainable)
    layer(TEXTS)
    np.testing.assert_array_equal(layer.weights[0], matrix)
    assert len(layer.trainable_variables) == 4 + trainable


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)
def test_trains_saves_and_loads_in_a_model(tmp_path):
    inputs = keras.Input((5,), dtype="int32")
    encoder = keras.Model(inputs, TextCNN(**SMALL)(inputs))
    heads = {"a": keras.layers.Dense(2), "b": keras.layers.Dense(1)}
    model = MultiTaskModel(encoder, heads)
    model.compile("adam", loss="mse", weighter="slaw", jit_compile=False)
    x = {"a": TEXTS, "b": TEXTS[:1]}
    y = {"a": np.ones((2, 2)), "b": np.ones((1, 1))}
    before = encoder.get_weights()
    model.fit(x, y, batch_size=2, verbose=0, shuffle=False)
    after = encoder.get_weights()
    moved = [(a != b).any() for a, b in zip(before, after, strict=True)]
    assert all(moved)
    # Padding's vector is never used.
    np.testing.assert_array_equal(before[0][0], after[0][0])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(TEXTS)["a"], model(TEXTS)["a"])
    assert loaded.encoder.layers[1].get_config() == (
        encoder.layers[1].get_config()
    )


def test_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    layer = TextCNN(**SMALL)
    assert layer(TEXTS).dtype == "float16"
    assert {v.dtype for v in layer.weights} == {"float32"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"vocabulary_size": 0},
            "Argument `vocabulary_size` must be at least 1. "
            "Received: vocabulary_size=0",
        ),
        (
            {"dropout": 1.0},
            "Argument `dropout` must be in the range [0, 1). "
            "Received: dropout=1.0",
        ),
        (
            {"embeddings": np.zeros((20, 3))},
            "Argument `embeddings` must have the shape (vocabulary_size, "
            "embedding_dim) = (20, 4). Received: shape=(20, 3)",
        ),
    ],
)
def test_errors(changed, message):
    with pytest.raises(ValueError) as error:
        TextCNN(**{**SMALL, **changed})
    assert str(error.value) == message
