"""A model with stacked heads, and its twin with a Dense head for each task."""

import keras
import numpy as np

from keras_mtl import MultiTaskModel
from keras_mtl.layers import StackedHeads

# Not in alphabetical order: what is sorted must show.
NAMES = ("tone", "age", "class", "stars")
FEATURES = 4
LOSSES = {1: "binary_crossentropy", 3: "sparse_categorical_crossentropy"}


def encoder(seed=0):
    """Returns a small encoder."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((FEATURES,), name="features")
    hidden = keras.layers.Dense(5, "tanh", kernel_regularizer="l2")(inputs)
    return keras.Model(inputs, hidden)


def stacked_model(units=1, names=NAMES, **heads):
    """Returns a model with stacked heads, not compiled."""
    activation = "sigmoid" if units == 1 else "softmax"
    return MultiTaskModel(
        encoder(), StackedHeads(names, units, activation, **heads)
    )


def named_twin(model):
    """Returns a model that starts with the same parameters."""
    stack = model.heads
    heads = {
        task: keras.layers.Dense(stack.units, stack.activation)
        for task in model.task_names
    }
    twin = MultiTaskModel(encoder(), heads)
    for mine, theirs in zip(
        twin.encoder.variables, model.encoder.variables, strict=True
    ):
        mine.assign(theirs)
    for head, (kernel, bias) in zip(
        heads.values(), head_weights(model), strict=True
    ):
        head.kernel.assign(kernel)
        head.bias.assign(bias)
    return twin


def head_weights(model):
    """Returns kernel and bias of each task's head."""
    if isinstance(model.heads, dict):
        return [
            (head.kernel.numpy(), head.bias.numpy())
            for head in model.heads.values()
        ]
    num_tasks = len(model.task_names)
    kernels = np.split(model.heads.kernel.numpy(), num_tasks, axis=1)
    biases = np.split(model.heads.bias.numpy(), num_tasks)
    return list(zip(kernels, biases, strict=True))


def make_data(rows=26, units=1, num_tasks=4, seed=1, missing=0.3):
    """Returns inputs, stacked labels and weights, 0 where one is missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, FEATURES)).astype("float32")
    y = rng.integers(0, max(units, 2), (rows, num_tasks))
    y = y.astype("float32" if units == 1 else "int32")
    weight = rng.choice([0.5, 1.0, 2.0], (rows, num_tasks))
    weight *= rng.random((rows, num_tasks)) >= missing
    return x, y, weight.astype("float32")


def by_name(array, names=NAMES):
    """Returns the columns `(B, 1)` of a stacked array."""
    columns = np.split(np.asarray(array), len(names), axis=1)
    return dict(zip(names, columns, strict=True))


def compiled(model, weighter="uniform", units=1, **kwargs):
    """Returns the model, compiled in a plain graph by default."""
    arguments = {
        "loss": LOSSES[units],
        "metrics": ["accuracy"],
        "weighted_metrics": ["mse"] if units == 1 else None,
        "jit_compile": False,
        **kwargs,
    }
    model.compile(keras.optimizers.Adam(0.05), weighter=weighter, **arguments)
    return model
