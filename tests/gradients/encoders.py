"""Encoders of every kind of layer, and an exact reference for them."""

import keras
import numpy as np
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.layers import TextCNN

layers = keras.layers
TASKS = ("first", "second", "third", "fourth")


class Tied(layers.Layer):
    """Reads its table twice: looks up, and multiplies with it."""

    def build(self, shape):
        self.table = self.add_weight(shape=(11, 6), name="table")

    def call(self, tokens):
        embedded = keras.ops.take(self.table, tokens, axis=0)
        scores = keras.ops.matmul(embedded, keras.ops.transpose(self.table))
        return keras.ops.mean(keras.ops.tanh(scores), axis=1)

    def compute_output_shape(self, shape):
        return (shape[0], 11)


class Twice(keras.Model):
    """An encoder that is not functional, and uses one layer twice."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = layers.Dense(5, "tanh")
        self.last = layers.Dense(4, "tanh")

    def call(self, x):
        return self.last(self.inner(self.inner(x)))


@keras.saving.register_keras_serializable("tests")
def swish(x):
    """An activation with a custom gradient."""
    return tf.nn.silu(x)


def _dense(x):
    return layers.Dense(20, "tanh")(layers.Dense(9, "relu")(x))


def _wide(x):
    """Cross products of rows are cheaper than gradients here."""
    return layers.Dense(4, swish)(layers.Dense(300, "softplus")(x))


def _conv(x):
    hidden = layers.Conv2D(3, 3, padding="same", activation="relu")(x)
    hidden = layers.BatchNormalization()(hidden)
    hidden = layers.DepthwiseConv2D(2, strides=2)(hidden)
    return layers.GlobalAveragePooling2D()(hidden)


def _deep_conv(x):
    """Many channels, few places: cross products of patches are cheaper."""
    hidden = layers.Conv2D(8, 3, strides=2, padding="same")(x)
    hidden = layers.Activation("relu")(hidden)
    hidden = layers.Conv2D(4, 2, dilation_rate=1)(hidden)
    return layers.Flatten()(hidden)


def _text(x):
    hidden = layers.Embedding(11, 6)(x)
    hidden = layers.Conv1D(5, 3, activation="relu")(hidden)
    return layers.GlobalMaxPooling1D()(hidden)


def _text_cnn(x):
    """Its kernels are read by a product without a gradient, too."""
    return TextCNN(11, 6, num_filters=5, kernel_sizes=(2, 3), dropout=0.0)(x)


def _recurrent(x):
    return layers.LSTM(4)(layers.Embedding(50, 6, mask_zero=True)(x))


def _attention(x):
    hidden = layers.Embedding(11, 6)(x)
    hidden = layers.Add()(
        [hidden, layers.MultiHeadAttention(2, 3)(hidden, hidden)]
    )
    hidden = layers.LayerNormalization()(hidden)
    hidden = layers.Dense(7, "gelu")(hidden)
    return layers.GlobalAveragePooling1D()(hidden)


def _map(x):
    """A representation of rank four."""
    return layers.Conv2D(3, 3, padding="same", activation="tanh")(x)


def _several(x):
    """Two outputs, one of which follows from the other."""
    low = layers.Dense(6, "tanh")(x)
    return {"low": low, "high": layers.Dense(4, "tanh")(low)}


@keras.saving.register_keras_serializable("tests")
class Both(layers.Layer):
    """Joins what `_several` returns."""

    def call(self, parts):
        return keras.ops.concatenate([parts["low"], parts["high"]], axis=-1)


@keras.saving.register_keras_serializable("tests")
class Recomputed(layers.Layer):
    """Forgets its activations, and with them its products' gradients."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 4), name="kernel")

    def call(self, x):
        return tf.recompute_grad(lambda x: tf.tanh(x @ self.kernel))(x)

    def compute_output_shape(self, shape):
        return (*shape[:-1], 4)


def _recomputed(x):
    return Recomputed()(layers.Dense(6, "tanh")(x))


def _tied(x):
    return Tied()(x)


INPUTS = {
    "vectors": (5,),
    "wide": (400,),
    "images": (6, 6, 2),
    "deep": (4, 4, 32),
    "tokens": (8,),
}
ENCODERS = {
    "dense": ("vectors", _dense),
    "wide": ("wide", _wide),
    "conv": ("images", _conv),
    "deep_conv": ("deep", _deep_conv),
    "text": ("tokens", _text),
    "text_cnn": ("tokens", _text_cnn),
    "recurrent": ("tokens", _recurrent),
    "attention": ("tokens", _attention),
    "map": ("images", _map),
    "several": ("vectors", _several),
    "recomputed": ("vectors", _recomputed),
    "tied": ("tokens", _tied),
    "twice": ("vectors", None),
}


def build(name, dtype="float32", seed=0, linear_heads=True, head_dtype=None):
    """Returns a compiled model with four tasks and the named encoder."""
    kind, make = ENCODERS[name]
    keras.utils.set_random_seed(seed)
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        shape = INPUTS[kind]
        x = keras.Input(shape, dtype="int32" if kind == "tokens" else None)
        encoder = Twice() if make is None else keras.Model(x, make(x))
        units = dict(zip(TASKS, (1, 2, 1, 3), strict=True))
        heads = {
            task: keras.Sequential(
                [
                    *([Both()] if name == "several" else []),
                    *([] if linear_heads else [layers.Activation("tanh")]),
                    layers.Dense(units[task], dtype=head_dtype),
                ]
            )
            for task in TASKS
        }
        model = MultiTaskModel(encoder, heads)
        model.compile(keras.optimizers.Adam(0.01), loss="mse")
        model(batch(name, 2)[0])
    finally:
        keras.config.set_dtype_policy(previous)
    return model


def batch(name, num_rows=7, seed=1):
    """Returns `(x, y, sample_weight)` with labels missing."""
    rng = np.random.default_rng(seed)
    kind, _ = ENCODERS[name]
    shape = (num_rows, *INPUTS[kind])
    if kind == "tokens":
        x = rng.integers(0, 11, shape).astype("int32")
    else:
        x = rng.normal(size=shape).astype("float32")
    leading = (num_rows, *shape[1:3]) if name == "map" else (num_rows,)
    y = {
        task: rng.normal(size=(*leading, units)).astype("float32")
        for task, units in zip(TASKS, (1, 2, 1, 3), strict=True)
    }
    weight = np.ones(num_rows, "float32")
    weight[::3] = 0.0
    return x, y, {TASKS[1]: weight}


def reference(model, data, variables=None):
    """Returns the `(K, P)` Jacobian in the model's precision, task by task.

    Of the representation without `variables`.
    """
    x, y, sample_weight = data
    rows = []
    for task in TASKS:
        kept = sample_weight.get(task, np.ones(len(y[task]))) != 0.0
        with tf.GradientTape() as tape:
            representation = model.encoder(x, training=True)
            # Copies, so that no leaf is upstream of another.
            representation = keras.tree.map_structure(
                tf.identity, representation
            )
            output = model.heads[task](representation, training=True)
            errors = tf.reduce_mean((output - y[task]) ** 2, axis=-1)
            loss = tf.reduce_mean(errors[kept])
        leaves = keras.tree.flatten(representation)
        sources = leaves if variables is None else variables
        flat = [
            np.zeros(np.prod(source.shape))
            if gradient is None
            else np.ravel(tf.convert_to_tensor(gradient).numpy())
            for source, gradient in zip(
                sources, tape.gradient(loss, sources), strict=True
            )
        ]
        rows.append(np.concatenate(flat))
    return np.stack(rows)
