"""Models with the encoders of `tests.gradients.encoders`, and a reference."""

import keras
import numpy as np
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.gradients import roles
from keras_mtl.layers import StackedHeads
from tests.gradients.encoders import ENCODERS, INPUTS, Both, Mixture, Twice

layers = keras.layers
STACKED = ("stack", "apart")
TASKS = ("first", "second", "third", "fourth")

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
    four layers that they share. Those of `STACKED` are stacked.
    """
    if name in STACKED:
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
    if name in STACKED:
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
