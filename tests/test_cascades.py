"""A prediction that another head reads keeps its logits for its loss."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.gradients import TaskGradients, roles

LOSSES = {
    "a": "binary_crossentropy",
    "b": "mse",
    "c": "sparse_categorical_crossentropy",
    "d": "mse",
}


def _cascade():
    """Head b reads the probability a; d those of the classes c."""
    dense = keras.layers.Dense
    x = keras.Input((2,))
    h = dense(3, "tanh", name="trunk")(x)
    far = keras.initializers.Constant(-40.0)
    a = dense(1, "sigmoid", name="a", bias_initializer=far)(h)
    apart = keras.initializers.Constant([-40.0, 40.0])
    c = dense(2, "softmax", name="c", bias_initializer=apart)(h)
    b = dense(1, name="b")(keras.layers.Concatenate()([h, a]))
    return keras.Model(x, {"a": a, "b": b, "c": c, "d": dense(1, name="d")(c)})


@pytest.mark.parametrize("eager", [True, False])
def test_losses_and_gradients_are_those_of_the_logits(eager):
    source = _cascade()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, 2)).astype("float32")
    y = {task: np.ones((4, 1), "float32") for task in "abd"}
    y["c"] = np.zeros((4,), "int32")
    model = MultiTaskModel.from_functional(source)
    model.compile(
        "sgd", LOSSES, weighter="mgda", run_eagerly=eager, jit_compile=False
    )
    variables = roles.shared_variables(model)

    def measured():
        batch = TaskGradients(model, (x, y, None), False, scope="shared")
        ones = tf.ones(4)
        return (
            batch.losses,
            batch.gramian("shared"),
            batch.combined(ones, variables),
        )

    if not eager:
        measured = tf.function(measured, autograph=False)
    losses, gramian, combined = measured()

    # A float64 tape over the source's own weights, with losses of logits.
    with tf.GradientTape(persistent=True) as tape:
        w = {v.path: tf.cast(v.value, tf.float64) for v in source.variables}
        tape.watch(list(w.values()))

        def layer(name, value):
            return value @ w[f"{name}/kernel"] + w[f"{name}/bias"]

        h = tf.tanh(layer("trunk", tf.cast(x, tf.float64)))
        za, zc = layer("a", h), layer("c", h)
        b = layer("b", tf.concat([h, tf.sigmoid(za)], -1))
        d = layer("d", tf.nn.softmax(zc))
        wanted = {
            "a": tf.reduce_mean(tf.nn.softplus(-za)),
            "b": tf.reduce_mean((b - 1) ** 2),
            "c": tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(y["c"], zc)
            ),
            "d": tf.reduce_mean((d - 1) ** 2),
        }
    rows = []
    for task in model.task_names:
        found = tape.gradient(
            wanted[task],
            [w[v.path] for v in variables],
            unconnected_gradients="zero",
        )
        rows.append(np.concatenate([np.ravel(g) for g in found]))
    expected = [float(wanted[task]) for task in model.task_names]
    assert max(expected) > 35  # Clipped probabilities end at 16.2.
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    scale = np.max(rows @ np.transpose(rows))
    np.testing.assert_allclose(
        gramian, rows @ np.transpose(rows), rtol=1e-4, atol=1e-6 * scale
    )
    flat = np.concatenate([np.ravel(g) for g in combined])
    np.testing.assert_allclose(flat, np.sum(rows, 0), rtol=1e-4, atol=1e-5)


def test_a_head_that_passes_on_what_its_encoder_gives_keeps_the_logits():
    """As from `from_functional`; of a probability next to 0, 40 nats."""
    x = keras.Input((2,))
    far = keras.initializers.Constant(-40.0)
    p = keras.layers.Dense(1, "sigmoid", bias_initializer=far)(x)
    encoder = keras.Model(x, p)
    heads = {"a": keras.layers.Identity(), "b": keras.layers.Dense(1)}
    model = MultiTaskModel(encoder, heads)
    model.compile("sgd", {"a": "binary_crossentropy", "b": "mse"})
    x = np.random.default_rng(0).normal(size=(4, 2)).astype("float32")
    y = {task: np.ones((4, 1), "float32") for task in "ab"}
    kernel = encoder.layers[-1].kernel.numpy()
    wanted = np.mean(np.log1p(np.exp(40.0 - x @ kernel)))
    for inputs in (x, {"a": x, "b": x}):
        batch = TaskGradients(model, (inputs, y, None), False, scope="shared")
        np.testing.assert_allclose(batch.losses[0], wanted, rtol=1e-5)
        # Each row pulls its logit by -1 of the mean; head b by next to 0.
        norm = np.linalg.norm([*np.mean(x, 0), 1.0])
        np.testing.assert_allclose(batch.norms("shared")[0], norm, rtol=1e-5)
