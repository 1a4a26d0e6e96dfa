"""A small model of three unlike tasks, and its data, for tests of training."""

import keras
import numpy as np
import tensorflow as tf

from keras_mtl import MultiTaskModel, weighters
from keras_mtl.signals import reads_query

# Not in alphabetical order: what is sorted or positional must show.
TASKS = ("tone", "stars", "class")
LOSSES = {
    "tone": "binary_crossentropy",
    "stars": "mse",
    "class": "sparse_categorical_crossentropy",
}
FEATURES, CLASSES = 4, 3


def seeded(name):
    """Returns a new weighter that draws the same as another of that name."""
    weighter = weighters.get(name)
    seed = {"seed": 1} if "seed" in weighter.get_config() else {}
    return type(weighter).from_config({**weighter.get_config(), **seed})


def build_model(
    tasks=TASKS,
    dropout=0.0,
    batch_norm=False,
    regulariser=None,
    discriminator=None,
):
    """Returns a model, not compiled, with random layers on request."""
    inputs = keras.Input((FEATURES,), name="features")
    hidden = keras.layers.Dense(
        5, "tanh", kernel_regularizer=regulariser, name="trunk"
    )(inputs)
    if batch_norm:
        hidden = keras.layers.BatchNormalization(name="norm")(hidden)
    if dropout:
        hidden = keras.layers.Dropout(dropout, name="drop")(hidden)
    encoder = keras.Model(inputs, hidden, name="encoder")
    heads = {
        "tone": [keras.layers.Dense(1, "sigmoid", name="tone_out")],
        "stars": [keras.layers.Dense(2, name="stars_out")],
        "class": [keras.layers.Dense(CLASSES, "softmax", name="class_out")],
    }
    if dropout:
        heads["stars"].insert(0, keras.layers.Dropout(dropout, name="late"))
    heads = {
        task: keras.Sequential(heads[task], name=f"{task}_head")
        for task in tasks
    }
    model = MultiTaskModel(encoder, heads, discriminator=discriminator)
    model(np.zeros((1, FEATURES), "float32"))
    return model


def compile_model(model, weighter="uniform", optimizer=None, **kwargs):
    """Compiles with a fresh optimizer, in a plain graph by default."""
    kwargs = {"loss": LOSSES, "jit_compile": False, **kwargs}
    optimizer = optimizer or keras.optimizers.Adam(0.01)
    model.compile(optimizer, weighter=weighter, **kwargs)
    return model


def new_model(weighter="uniform", optimizer=None, seed=0, model=None, **kwargs):
    """Returns a compiled model whose initial weights follow `seed`.

    `model` holds the arguments of `build_model`, `kwargs` those of `compile`.
    """
    keras.utils.set_random_seed(seed)
    built = build_model(**(model or {}))
    return compile_model(built, weighter, optimizer, **kwargs)


def make_data(rows=12, seed=1):
    """Returns shared inputs and labels by task name."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, FEATURES)).astype("float32")
    y = {
        "tone": (x[:, :1] + rng.normal(size=(rows, 1)) > 0).astype("float32"),
        "stars": 3 * rng.normal(size=(rows, 2)).astype("float32"),
        "class": rng.integers(0, CLASSES, rows).astype("int32"),
    }
    return x, y


def separate(data):
    """Returns the same rows as inputs of each task's own."""
    x, y = data
    return {task: x + 0.1 * k for k, task in enumerate(y)}, y


def query_for(name, rows=6, seed=77):
    """Returns the query data that the weighter `name` needs, or `None`."""
    wants = reads_query(weighters.get(name))
    return make_data(rows, seed) if wants else None


def step(model, seed, rows=12):
    """Runs one step on the batch of that seed; returns its logs."""
    x, y = make_data(rows, seed)
    query = query_for(model.weighter, seed=seed + 1000)
    return model.train_on_batch(x, y, query_data=query, return_dict=True)


def read(variables):
    """Returns copies of the variables' values."""
    return [tf.convert_to_tensor(v).numpy().copy() for v in variables]


def state(model, optimizer=True):
    """Returns every value that training goes on from, by a unique name.

    Heads and weighter follow the tasks in the order of their names.
    """
    values = {}
    parts = {"encoder": model.encoder, **model.heads}
    if model.discriminator is not None:
        parts["discriminator"] = model.discriminator
    for name in sorted(parts):
        for k, value in enumerate(read(parts[name].variables)):
            values[f"{name}/{k}"] = value
    by_name = np.argsort(model.task_names)
    for k, value in enumerate(read(model.weighter.variables)):
        if value.dtype.kind == "f":
            for axis, length in enumerate(value.shape):
                if length == len(by_name):
                    value = np.take(value, by_name, axis)
        values[f"weighter/{k}"] = value
    if optimizer:
        for k, variable in enumerate(model.optimizer.variables):
            value = read([variable])[0]
            if value.shape == by_name.shape and "log_variance" in variable.path:
                value = value[by_name]
            values[f"optimizer/{k}"] = value
    return values


def differing(received, expected):
    """Returns the names whose values are not equal bit for bit."""
    assert list(received) == list(expected)
    return [
        name
        for name, value in expected.items()
        if not np.array_equal(
            received[name], value, equal_nan=value.dtype.kind == "f"
        )
    ]
