"""A small network in float64 NumPy, with derivatives by the complex step.

`f(θ + ih)` has imaginary part `h f'(θ)` up to `h²`, so these derivatives are
exact to float64 rounding, and share no code with automatic differentiation.
"""

import itertools

import keras
import numpy as np

STEP = 1e-30


def make_model(num_tasks=2, features=4, hidden=5, outputs=3, seed=0):
    """Returns a Keras model: a tanh layer and a linear head for each task."""
    from keras_mtl import MultiTaskModel

    keras.utils.set_random_seed(seed)
    inputs = keras.Input((features,), name="features")
    encoder = keras.Model(
        inputs, keras.layers.Dense(hidden, "tanh", name="trunk")(inputs)
    )
    heads = {
        f"task_{k}": keras.layers.Dense(outputs, name=f"head_{k}")
        for k in range(num_tasks)
    }
    return MultiTaskModel(encoder, heads)


def make_data(num_tasks=2, rows=7, features=4, outputs=3, seed=1):
    """Returns shared inputs, and labels by task name."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features)).astype("float32")
    y = {
        f"task_{k}": (1 + k) * rng.normal(size=(rows, outputs))
        for k in range(num_tasks)
    }
    return x, {task: label.astype("float32") for task, label in y.items()}


def parameters(model):
    """Returns the model's trainable variables as one float64 vector."""
    return np.concatenate(
        [np.ravel(v.value.numpy()) for v in network_variables(model)]
    ).astype("float64")


def network_variables(model):
    """Returns trunk kernel and bias, then each head's."""
    layers = [model.encoder, *model.heads.values()]
    return [v for layer in layers for v in layer.trainable_variables]


def task_losses(model, theta, x, y):
    """Returns the `(K,)` mean squared errors at the parameters `theta`.

    `x` is an array for all tasks, or a dict by task name.
    """
    shapes = [tuple(v.shape) for v in network_variables(model)]
    sizes = np.cumsum([np.prod(shape, dtype=int) for shape in shapes])
    parts = np.split(theta, sizes[:-1])
    kernel, bias, *heads = [
        part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)
    ]
    losses = []
    for k, task in enumerate(model.task_names):
        inputs = x[task] if isinstance(x, dict) else x
        hidden = np.tanh(np.float64(inputs) @ kernel + bias)
        error = hidden @ heads[2 * k] + heads[2 * k + 1] - np.float64(y[task])
        losses.append(np.mean(error * error))
    return np.stack(losses)


def jacobian(function, theta):
    """Returns the derivatives of `function`'s outputs, `(K, P)`."""
    columns = []
    for index in range(len(theta)):
        moved = theta.astype("complex128")
        moved[index] += 1j * STEP
        columns.append(np.imag(function(moved)) / STEP)
    return np.stack(columns, axis=1)


def min_norm_weights(gramian):
    """Returns the minimum-norm point, by trying every set of active tasks."""
    num_tasks = len(gramian)
    best, least = None, np.inf
    for size in range(1, num_tasks + 1):
        for active in itertools.combinations(range(num_tasks), size):
            part = gramian[np.ix_(active, active)]
            solution = np.linalg.lstsq(part, np.ones(size), rcond=None)[0]
            weights = np.zeros(num_tasks)
            weights[list(active)] = solution / solution.sum()
            value = weights @ gramian @ weights
            if np.all(weights >= -1e-12) and value < least:
                best, least = weights, value
    return best
