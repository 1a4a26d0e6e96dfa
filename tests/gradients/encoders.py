"""Encoders of every kind of layer."""

import keras
import tensorflow as tf

from keras_mtl.layers import TextCNN

layers = keras.layers


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


@keras.saving.register_keras_serializable("tests")
class Bank(layers.Layer):
    """Three experts of three layers, each layer in one product."""

    def build(self, shape):
        sizes = [(3, shape[-1], 40), (3, 40, 12), (3, 12, 9)]
        self.kernels = [
            self.add_weight(shape=size, name=f"kernel_{k}")
            for k, size in enumerate(sizes)
        ]

    def call(self, x):
        first, second, third = self.kernels
        hidden = keras.ops.tanh(keras.ops.einsum("bi,eiu->beu", x, first))
        hidden = keras.ops.einsum("bei,eiu->beu", hidden, second)
        hidden = keras.ops.transpose(keras.ops.tanh(hidden), (1, 0, 2))
        hidden = keras.ops.matmul(hidden, third)
        return keras.ops.transpose(keras.ops.tanh(hidden), (1, 0, 2))

    def compute_output_shape(self, shape):
        return (shape[0], 3, 9)


@keras.saving.register_keras_serializable("tests")
class Mixture(layers.Layer):
    """Mixes experts by a gate that reads what lies beside them."""

    def build(self, shapes):
        self.gate = layers.Dense(3, "softmax")
        self.gate.build(shapes["gated"])

    def call(self, parts):
        gates = self.gate(parts["gated"])
        return keras.ops.einsum("be,beu->bu", gates, parts["bank"])


def _experts(x):
    hidden = layers.Dense(60, "tanh")(x)
    return {"bank": Bank()(hidden), "gated": hidden}


def _stitched(x):
    """Two streams of rows that pass one layer, and mix before the next."""
    first, second = layers.Dense(30, "tanh")(x), layers.Dense(30, "relu")(x)
    block = layers.Dense(25, "tanh")
    first, second = block(first), block(second)
    return layers.Dense(6)(
        layers.Add()([first, layers.Multiply()([first, second])])
    )


def _apart(x):
    """A representation of its own for each of four tasks."""
    hidden = layers.Dense(24, "tanh")(layers.Dense(9, "tanh")(x))
    return layers.Reshape((4, 6))(hidden)


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
    "experts": ("wide", _experts),
    "stitched": ("wide", _stitched),
    "necks": ("wide", _wide),
    "stack": ("wide", _wide),
    "apart": ("wide", _apart),
}
