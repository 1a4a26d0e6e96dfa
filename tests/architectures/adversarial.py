"""A small adversarial model, and the gradient of its objective by hand."""

import keras
import numpy as np
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.architectures import SharedPrivate, TaskDiscriminator

# Not in alphabetical order: what is sorted or positional must show.
TASKS = ("tone", "stars", "class")
FEATURES, RATE = 4, 0.05
GAMMA, LAMBDA = 0.3, 0.7
Dense = keras.layers.Dense


def build(private=True, discriminator=None, seed=0, functional=False):
    """Returns a model, not compiled."""
    keras.utils.set_random_seed(seed)

    def extractor(units):
        if not functional:
            return Dense(units, "tanh")
        inputs = keras.Input((FEATURES,), name="features")
        return keras.Model(inputs, Dense(units, "tanh")(inputs))

    encoder = extractor(5)
    if private:
        extractors = {task: extractor(3) for task in TASKS}
        encoder = SharedPrivate(encoder, extractors, GAMMA)
    heads = {task: Dense(2) for task in TASKS}
    return MultiTaskModel(encoder, heads, discriminator=discriminator)


def compiled(
    weighter="uniform", private=True, optimizer=None, eagerly=False, **kwargs
):
    """Returns a model with a discriminator, compiled and built."""
    arguments = {"weight": LAMBDA, **kwargs}
    model = build(private, TaskDiscriminator(**arguments))
    model.compile(
        optimizer or keras.optimizers.SGD(RATE),
        loss="mse",
        weighter=weighter,
        jit_compile=False,
        run_eagerly=eagerly,
    )
    x, _ = data()
    model(x)
    return model


def data(rows=6, seed=1, uneven=True):
    """Returns separate inputs and labels."""
    rng = np.random.default_rng(seed)
    sizes = {task: rows + k * uneven for k, task in enumerate(TASKS)}
    x = {
        task: rng.normal(k, size=(size, FEATURES)).astype("float32")
        for k, (task, size) in enumerate(sizes.items())
    }
    y = {
        task: rng.normal(size=(size, 2)).astype("float32")
        for task, size in sizes.items()
    }
    return x, y


def values(model):
    """Returns copies of the network's and the discriminator's variables."""
    others = {id(v) for v in model.weighter.trainable_variables}
    return {
        v.path: tf.convert_to_tensor(v).numpy().astype("float64")
        for v in model.trainable_variables
        if id(v) not in others
    }


def dense(layer, x, activation=tf.identity):
    """Returns a dense layer's output in float64, and its parameters."""
    return activation(x @ layer[0] + layer[1])


def parts(model):
    """Returns float64 copies of `[kernel, bias]` by role."""

    def copy(layer):
        return [
            tf.constant(tf.convert_to_tensor(v).numpy(), "float64")
            for v in layer.variables
        ]

    encoder = model.encoder
    private = isinstance(encoder, SharedPrivate)
    found = {"shared": copy(encoder.shared if private else encoder)}
    for task in TASKS:
        found[f"head/{task}"] = copy(model.heads[task])
        if private:
            found[f"private/{task}"] = copy(getattr(encoder, f"private_{task}"))
    found["discriminator"] = copy(model.discriminator)
    return found


def numpy_difference(shared, private):
    """Returns `‖SᵀH‖²` of METHODS.md in float64."""
    rows = []
    for features in (np.float64(shared), np.float64(private)):
        centred = features - features.mean(axis=0)
        rows.append(centred / np.linalg.norm(centred, axis=1, keepdims=True))
    return np.sum((rows[0].T @ rows[1]) ** 2)


def reference(model, x, y):
    """Returns losses and gradients, written out in float64.

    Returns:
        `(K,)` task losses, the difference loss, the discriminator's mean
        cross-entropy, and for each variable by role the gradients of each: K
        of tasks, one of the difference, one of the discriminator.
    """
    found = parts(model)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(found)
        losses, shared, differences = [], {}, []
        for task in TASKS:
            inputs = tf.constant(x[task], "float64")
            shared[task] = features = dense(found["shared"], inputs, tf.tanh)
            if f"private/{task}" in found:
                own = dense(found[f"private/{task}"], inputs, tf.tanh)
                rows = []
                for part in (features, own):
                    part -= tf.reduce_mean(part, axis=0)
                    rows.append(part / tf.norm(part, axis=1, keepdims=True))
                crossed = tf.matmul(*rows, transpose_a=True)
                differences.append(tf.reduce_sum(crossed**2))
                features = tf.concat([features, own], axis=1)
            errors = dense(found[f"head/{task}"], features) - y[task]
            losses.append(tf.reduce_mean(errors**2))
        difference = tf.add_n([tf.constant(0.0, "float64"), *differences])
        logits = tf.concat(
            [dense(found["discriminator"], shared[task]) for task in TASKS], 0
        )
        classes = np.repeat(
            [sorted(TASKS).index(task) for task in TASKS],
            [len(x[task]) for task in TASKS],
        )
        probabilities = tf.nn.softmax(logits)
        chosen = tf.gather(probabilities, classes, batch_dims=1)
        entropy = -tf.reduce_mean(tf.math.log(chosen))
    gradients = {
        role: [
            [
                _dense(tape.gradient(loss, v), v)
                for loss in (*losses, difference, entropy)
            ]
            for v in variables
        ]
        for role, variables in found.items()
    }
    return np.array(losses), float(difference), float(entropy), gradients


def _dense(gradient, variable):
    return np.zeros(variable.shape) if gradient is None else gradient.numpy()
