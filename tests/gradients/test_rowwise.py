"""Rows of one task each: all gradients of one pass, against one pass each."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_mtl import MultiTaskModel
from keras_mtl.combination import Combination
from keras_mtl.gradients import TaskGradients, rowwise
from keras_mtl.layers import StackedHeads

NAMES, ROWS = ["a", "b", "c"], 9


def _tokens(make):
    inputs = keras.Input((5,), dtype="int32")
    return keras.Model(inputs, make(layers.Embedding(11, 4)(inputs)))


def _vectors(make, shape=(6,)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, make(inputs))


def _deep(x):
    hidden = layers.Dense(7, "tanh", kernel_regularizer="l2")(x)
    return layers.Dense(4, "softplus", use_bias=False)(hidden)


def _text(x):
    hidden = layers.Dense(3, "tanh")(x)  # Of every token.
    return layers.Dense(4)(layers.Flatten()(hidden))


def _convolved(x):
    hidden = layers.Conv2D(3, 2, strides=2, activation="tanh")(x)
    return layers.GlobalAveragePooling2D()(hidden)


def _normed(x):
    return layers.BatchNormalization()(layers.Dense(4)(x))


def _mixed(x):
    """Every row sees the mean of the batch."""
    hidden = layers.Dense(4)(x)
    mean = layers.Lambda(lambda h: keras.ops.mean(h, axis=0, keepdims=True))
    return layers.Subtract()([hidden, mean(hidden)])


def _apart(x):
    """A representation of each task, `(B, K, D)`."""
    hidden = layers.Dense(12, "tanh")(layers.Dense(5, "tanh")(x))
    return layers.Reshape((3, 4))(hidden)


ENCODERS = {  # Whether one pass is enough.
    "deep": (lambda: _vectors(_deep), True),
    "text": (lambda: _tokens(_text), True),
    "pooled": (lambda: _tokens(layers.GlobalAveragePooling1D()), True),
    "convolved": (lambda: _vectors(_convolved, (4, 4, 2)), True),
    "apart": (lambda: _vectors(_apart), True),
    "recurrent": (lambda: _tokens(layers.GRU(4)), False),
    "normed": (lambda: _vectors(_normed), False),
    "mixed": (lambda: _vectors(_mixed), False),
}


def build(name, units=2):
    keras.utils.set_random_seed(0)
    model = MultiTaskModel(ENCODERS[name][0](), StackedHeads(NAMES, units))
    model.compile("sgd", loss="mse", weighter="pcgrad", jit_compile=False)
    return model


def data(model, seed, rows=ROWS):
    rng = np.random.default_rng(seed)
    shape = (rows, *model.encoder.input_shape[1:])
    x = rng.normal(size=shape).astype("float32")
    if "int" in model.encoder.inputs[0].dtype:
        x = rng.integers(0, 11, shape).astype("int32")
    ids = rng.integers(0, 3, rows).astype("int32")
    y = rng.normal(size=(rows, model.heads.units)).astype("float32")
    weight = rng.choice([0.0, 0.5, 2.0], rows).astype("float32")
    return {"inputs": x, "task": ids}, y, weight


def layer_weights(num_layers):
    grid = np.cos(np.arange(3 * num_layers, dtype="float32"))
    return tf.constant(grid.reshape(num_layers, 3))


@pytest.mark.parametrize(
    ("name", "largest"),
    [*((name, 2**28) for name in ENCODERS), ("text", 1), ("deep", 1)],
)
def test_gramians_are_those_of_separate_backward_passes(
    name, largest, monkeypatch
):
    """Of one batch and between two; the plain way is that of eager steps."""
    monkeypatch.setattr(rowwise, "LARGEST", largest)
    model, one_pass = build(name), ENCODERS[name][1]
    batches = data(model, 1), data(model, 2, ROWS + 4)
    model(batches[0][0])
    for scope in ("last_shared_layer", "shared", "all"):

        def measure(batches, scope=scope):
            first, second = (
                TaskGradients(model, batch, training=True, scope=scope)
                for batch in batches
            )
            first.keep(scope)
            between = second.gramian(scope, first)
            if not tf.executing_eagerly():
                split = second.over(scope).shared
                found = isinstance(split, rowwise.RowwiseGradients)
                assert found == one_pass
            by_layer = []
            if scope == "shared":
                shares = first.gramian_by_layer(scope)
                weights = Combination(
                    None, layers=layer_weights(shares.shape[0])
                )
                combined = first.finely_combined(weights, scope)
                by_layer = [
                    shares,
                    *map(tf.convert_to_tensor, combined.values()),
                ]
            return first.gramian(scope), first.norms(scope), between, *by_layer

        expected = measure(batches)
        received = tf.function(measure, autograph=False)(batches)
        for a, b in zip(received, expected, strict=True):
            # Of a bias before a normalisation nothing is left but rounding.
            scale = max(np.abs(b).max(), 1e-2)
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("ids", [True, False])
def test_a_representation_for_each_task(ids):
    """Task k's loss reads slice k only, of its own rows where it has such."""
    model = build("apart")
    x, y, weight = data(model, 1)
    if not ids:
        rng = np.random.default_rng(4)
        x, y = x["inputs"], rng.normal(size=(ROWS, 3, 2)).astype("float32")
    model(x)

    def measure():
        batch = (x, y, weight)
        found = TaskGradients(model, batch, training=True, scope="shared")
        at = found._backward.over_heads
        return (
            *(at.gramian(), at.stacked[0], found._backward.leaves[0]),
            *(found.gramian("shared"), at.combined(tf.constant([1.0, 2, 3]))),
        )

    gramian, stacked, cut, shared, combined = tf.function(
        measure, autograph=False
    )()
    assert cut.shape == (ROWS, 3, 4)
    kernel, bias = (v.numpy() for v in model.heads.weights)
    assert kernel.shape == (3, 4, 2)
    # The mean squared error's derivative, by hand.
    outputs = np.einsum("bkd,kdu->bku", cut, kernel) + bias.reshape(3, 2)
    mine = np.ones((ROWS, 3), bool)
    if ids:
        mine = x["task"][:, None] == np.arange(3)
        y = np.repeat(y[:, None], 3, axis=1)
    present = (weight[:, None] != 0) & mine
    scaled = weight[:, None] * mine / np.maximum(present.sum(0), 1)
    delta = (outputs - y) * scaled[..., None]
    by_task = np.einsum("bku,kdu->bkd", delta, kernel)
    for task in range(3):
        expected = np.zeros_like(by_task)
        expected[:, task] = by_task[:, task]
        np.testing.assert_allclose(stacked[task], expected, atol=1e-6)
    squares = np.sum(by_task**2, axis=(0, 2))
    np.testing.assert_allclose(gramian, np.diag(squares), rtol=1e-4, atol=1e-7)
    weighted = by_task * np.array([1.0, 2, 3])[:, None]
    np.testing.assert_allclose(combined[0], weighted, rtol=1e-4, atol=1e-6)
    plain = TaskGradients(model, (x, y if not ids else y[:, 0], weight), True)
    np.testing.assert_allclose(shared, plain.gramian("shared"), rtol=1e-4)


def test_heads_with_a_representation_each_are_saved(tmp_path):
    model = build("apart", units=1)
    x = data(model, 1)[0]["inputs"]
    expected = model.predict(x, verbose=0)
    assert expected.shape == (ROWS, 3)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), expected)
    other = MultiTaskModel(
        ENCODERS["apart"][0](), StackedHeads(["a", "c", "b"])
    )
    other(x)
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(ValueError, match="same task names in the same order"):
        other.load_weights(tmp_path / "model.weights.h5")
