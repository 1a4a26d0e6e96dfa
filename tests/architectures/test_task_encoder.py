"""Encoders with a cut: owners, gradients and what is saved."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.architectures import TaskEncoder
from keras_mtl.gradients import TaskGradients, roles
from tests.architectures.mixtures import Extraction, Mixture

TASKS = ("b", "a", "c")
SCOPES = ("representation", "last_shared_layer", "shared", "all")
LEVELS = range(3)


def build(cls, dtype="float32"):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(dtype)
    heads = {task: keras.layers.Dense(2) for task in TASKS}
    model = MultiTaskModel(cls(TASKS), heads)
    model.compile("sgd", loss="mse", jit_compile=False)
    model(np.zeros((2, 6), dtype))
    keras.config.set_dtype_policy("float32")
    return model


def data(rows=7):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 6)).astype("float32")
    y = {t: rng.normal(size=(rows, 2)).astype("float32") for t in TASKS}
    return x, y


def exact_rows(model, x, y, sources):
    """Returns the `(K, P)` Jacobian in float64, a tape for each task."""
    rows = []
    for task in TASKS:
        with tf.GradientTape() as tape:
            representations, cut, _ = model.encoder(x, return_cut=True)
            output = model.heads[task](representations[task])
            loss = tf.reduce_mean((output - y[task]) ** 2)
        at = [getattr(source, "value", source) for source in sources(cut)]
        pulled = tape.gradient(loss, at)
        flat = [
            np.zeros(source.shape) if gradient is None else gradient
            for source, gradient in zip(at, pulled, strict=True)
        ]
        rows.append(np.concatenate(list(map(np.ravel, flat))))
    return np.stack(rows)


def expected_owners(cls):
    """Returns the layers that serve one task only, from the drawing."""
    if cls is Mixture:
        return {f"gate_{task}": {task} for task in TASKS}
    last = LEVELS[-1]
    own = {f"expert_{task}_{last}": {task} for task in TASKS}
    own |= {f"gate_{task}_{last}": {task} for task in TASKS}
    return own | {f"gate_{task}_{last - 1}": {task} for task in TASKS}


@pytest.mark.parametrize("cls", [Mixture, Extraction])
def test_owners_and_gradients_follow_the_graph(cls):
    model, exact = build(cls), build(cls, "float64")
    for mine, theirs in zip(exact.weights, model.weights, strict=False):
        mine.assign(tf.cast(theirs, mine.dtype))
    encoder, (x, y) = model.encoder, data()
    own = {
        id(v)
        for name in expected_owners(cls)
        for v in getattr(encoder, name).trainable_variables
    }
    own |= {id(v) for h in model.heads.values() for v in h.trainable_variables}
    assert {id(v) for v in roles.head_variables(model)} == own

    lowest = {
        Mixture: lambda cut: [cut.tensors["low"]],
        Extraction: lambda cut: keras.tree.flatten(cut.copies),
    }
    last = {
        Mixture: [f"expert_{n}" for n in range(3)],
        Extraction: ["expert_common_2"],
    }
    wide = x.astype("float64"), {t: v.astype("float64") for t, v in y.items()}
    for scope in SCOPES:
        if scope == "representation":
            sources = lowest[cls]
        else:
            at = {id(v) for v in roles.scope_variables(model, scope)}
            if scope == "last_shared_layer":
                layers = {
                    id(v)
                    for name in last[cls]
                    for v in getattr(encoder, name).trainable_variables
                }
                assert layers <= at
            pairs = zip(
                exact.trainable_variables,
                model.trainable_variables,
                strict=False,
            )
            chosen = [e for e, v in pairs if id(v) in at]
            sources = lambda cut, chosen=chosen: chosen  # noqa: E731
        rows = exact_rows(exact, *wide, sources)

        def measure(scope=scope):
            batch = TaskGradients(model, (x, y, None), True, scope=scope)
            weights = tf.constant([1.0, 0.5, 2.0])
            return (
                batch.gramian(scope),
                batch.norms(scope),
                batch.combined(weights, model.trainable_variables, tf.ones(3)),
            )

        for run in (measure, tf.function(measure, autograph=False)):
            gramian, norms, combined = run()
            np.testing.assert_allclose(
                gramian, rows @ rows.T, rtol=1e-4, atol=1e-6
            )
            np.testing.assert_allclose(
                norms, np.linalg.norm(rows, axis=1), rtol=1e-4
            )
    both = zip(
        model.trainable_variables, exact.trainable_variables, strict=True
    )
    for (variable, twin), received in zip(both, combined, strict=True):
        weights = [1.0] * 3 if id(variable) in own else [1.0, 0.5, 2.0]
        rows = exact_rows(exact, *wide, lambda _, twin=twin: [twin])
        np.testing.assert_allclose(
            np.ravel(received), weights @ rows, rtol=1e-3, atol=1e-6
        )


@pytest.mark.parametrize("cls", [Mixture, Extraction])
def test_it_is_saved_with_its_weights(cls, tmp_path):
    model, (x, _) = build(cls), data()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    expected = model.predict(x, verbose=0)
    for task, received in loaded.predict(x, verbose=0).items():
        np.testing.assert_array_equal(received, expected[task])


class AllAtOnce(TaskEncoder):
    """Each task's representation says whether it trains."""

    def shared(self, inputs):
        return inputs

    def own_all(self, cut, inputs, training=None):
        every = keras.ops.stack([cut] * len(self.task_names), axis=1)
        return every + float(bool(training))


def test_all_at_once_is_told_that_it_trains():
    encoder = AllAtOnce(TASKS)
    for training in (True, False):
        outputs = encoder(np.zeros((2, 3)), training=training)
        for task in TASKS:
            np.testing.assert_array_equal(outputs[task], training)
