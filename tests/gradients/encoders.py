"""Encoders of every kind of layer, and an exact reference for them."""

import keras
import numpy as np
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.gradients import roles
from keras_mtl.layers import StackedHeads, TextCNN

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
}
# What a head has before its last layer.
NECKS = {
    "several": lambda task: [Both()],
    "experts": lambda task: [Mixture()],
    "necks": lambda task: [layers.Dense(50, "tanh", name=f"{task}_first")],
}


UNITS = dict(zip(TASKS, (1, 2, 1, 3), strict=True))


def make_heads(name, linear, dtype):
    """Returns the heads of a model with the named encoder.

    Those of `"necks"` have a layer of their own each, and then two of three or
    four layers that they share. Those of `"stack"` are stacked.
    """
    if name == "stack":
        return StackedHeads(TASKS, 2)
    neck = layers.Dense(40, "tanh", name="neck")
    tower = layers.Dense(30, "tanh", name="tower")
    shared = {"first": [neck], "second": [neck, tower], "third": [tower]}
    heads = {}
    for task in TASKS:
        before = [] if linear else [layers.Activation("tanh")]
        if name in NECKS:
            before += NECKS[name](task)
        if name == "necks" and task == "third":
            before += [layers.Dense(40, name="to_tower")]
        if name == "necks":
            before += shared.get(task, [])
        last = layers.Dense(UNITS[task], dtype=dtype)
        heads[task] = keras.Sequential([*before, last])
    return heads


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
        heads = make_heads(name, linear_heads, head_dtype)
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
        for task, units in UNITS.items()
    }
    weight = np.ones(num_rows, "float32")
    weight[::3] = 0.0
    if name == "stack":
        y = rng.normal(size=(num_rows, len(TASKS), 2)).astype("float32")
        weight = np.stack([np.ones_like(weight), weight] * 2, axis=1)
        return x, y, weight
    return x, y, {TASKS[1]: weight}


def jacobian(model, data, training=True):
    """Returns the tasks' gradients in the model's precision, task by task.

    Args:
        model: Model of `build`.
        data: `batch`.
        training: Boolean, passed to the layers.

    Returns:
        Dict from `id(variable)` to a `(K, size)` array, and `"leaves"`, that
        of the representation.
    """
    x, y, sample_weight = data
    variables = roles.task_variables(model)
    rows = []
    for k, task in enumerate(TASKS):
        with tf.GradientTape() as tape:
            representation = model.encoder(x, training=training)
            # Copies, so that no leaf is upstream of another.
            representation = keras.tree.map_structure(
                tf.identity, representation
            )
            if isinstance(y, dict):
                head, label = model.heads[task], y[task]
                weight = sample_weight.get(task, np.ones(len(label)))
                output = head(representation, training=training)
            else:
                output = model.heads(representation, training=training)[:, k]
                label, weight = y[:, k], sample_weight[:, k]
            errors = tf.reduce_mean((output - label) ** 2, axis=-1)
            loss = tf.reduce_mean(errors[weight != 0.0])
        leaves = keras.tree.flatten(representation)
        pulled = tape.gradient(loss, [*leaves, *variables])
        flat = [
            np.zeros(np.prod(source.shape))
            if gradient is None
            else np.ravel(tf.convert_to_tensor(gradient).numpy())
            for source, gradient in zip(
                [*leaves, *variables], pulled, strict=True
            )
        ]
        of_leaves = np.concatenate(flat[: len(leaves)])
        rows.append([of_leaves, *flat[len(leaves) :]])
    keys = ["leaves", *map(id, variables)]
    columns = map(np.stack, zip(*rows, strict=True))
    return dict(zip(keys, columns, strict=True))
