"""A tower above the cut that two of three tasks read is theirs together."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from keras_mtl import MultiTaskModel
from keras_mtl.architectures import TaskEncoder
from keras_mtl.gradients import TaskGradients, roles
from keras_mtl.layers import StackedHeads

NAMES, UNITS = ("a", "b", "c"), 3
TOWERS = {"a": "both", "b": "both", "c": "alone"}
SHARED = {"bottom", "both"}


class Each(TaskEncoder):
    """A scale of each task's own, of one of two towers."""

    def __init__(self, task_names, **kwargs):
        super().__init__(task_names, **kwargs)
        self.bottom = layers.Dense(4, "tanh", name="bottom")
        for name in ("both", "alone"):
            setattr(self, name, layers.Dense(UNITS, "tanh", name=name))
        for task in task_names:
            scale = layers.Dense(UNITS, name=f"scale_{task}")
            setattr(self, f"scale_{task}", scale)

    def shared(self, inputs):
        return self.bottom(inputs)

    def own(self, task, cut, inputs):
        tower = getattr(self, TOWERS[task])
        return getattr(self, f"scale_{task}")(tower(cut))


class Stacked(Each):
    """The same, all at once."""

    def own(self, task, cut, inputs):
        return TaskEncoder.own(self, task, cut, inputs)

    def own_all(self, cut, inputs):
        towers = {name: getattr(self, name)(cut) for name in ("both", "alone")}
        scaled = [
            getattr(self, f"scale_{task}")(towers[TOWERS[task]])
            for task in self.task_names
        ]
        return ops.stack(scaled, axis=1)


class Joined(Stacked):
    """Side by side, and apart again."""

    def own_all(self, cut, inputs):
        stacked = super().own_all(cut, inputs)
        flat = ops.concatenate([stacked[:, k] for k in range(3)], axis=-1)
        return ops.tanh(ops.reshape(flat, (-1, 3, UNITS)))


def layer_of(variable):
    names = ("bottom", "both", "alone", *(f"scale_{t}" for t in NAMES))
    found = [name for name in names if f"{name}/" in f"{variable.path}/"]
    return found[0] if found else "head"


def expected(model, x, y, joined):
    """Returns each task's float64 gradients, a dict by a variable's path."""
    variables = model.trainable_variables
    values = {v.path: tf.constant(np.array(v), tf.float64) for v in variables}
    parts = {
        (layer_of(v), v.path.split("/")[-1]): v.path
        for v in variables
        if layer_of(v) != "head"
    }
    heads = [v.path for v in variables if layer_of(v) == "head"]
    rows = []
    for number, task in enumerate(NAMES):
        with tf.GradientTape() as tape:
            tape.watch(list(values.values()))

            def dense(name, inputs):
                kernel, bias = (
                    values[parts[name, part]] for part in ("kernel", "bias")
                )
                return inputs @ kernel + bias

            hidden = tf.tanh(dense("bottom", tf.cast(x, tf.float64)))
            hidden = tf.tanh(dense(TOWERS[task], hidden))
            hidden = dense(f"scale_{task}", hidden)
            hidden = tf.tanh(hidden) if joined else hidden
            if len(heads) == 2:  # Stacked: a kernel (K, U, 1), a bias (K,).
                kernel, bias = (values[path] for path in heads)
                kernel = tf.reshape(kernel, [3, UNITS])[number][:, None]
                output = hidden @ kernel + tf.reshape(bias, [3])[number]
            else:
                kernel, bias = (values[p] for p in heads[2 * number :][:2])
                output = hidden @ kernel + bias
            label = tf.cast(y[task], tf.float64)
            loss = tf.reduce_mean((output - label) ** 2)
        pulled = tape.gradient(
            loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        rows.append({path: g.numpy().ravel() for path, g in pulled.items()})
    return rows


CASES = [
    (Each, False),
    (Stacked, False),
    (Joined, False),
    (Stacked, True),
    (Joined, True),
]


@pytest.mark.parametrize(("cls", "stacks"), CASES)
def test_they_share_its_gradients_and_its_weight(cls, stacks):
    keras.utils.set_random_seed(0)
    heads = {t: layers.Dense(1, name=f"head_{t}") for t in NAMES}
    if stacks:
        heads = StackedHeads(NAMES, 1)
    model = MultiTaskModel(cls(NAMES), heads)
    model.compile("sgd", "mse", jit_compile=False, weighter="pcgrad")
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5, 4)).astype("float32")
    y = {t: rng.normal(size=(5, 1)).astype("float32") for t in NAMES}
    model(x)
    found = expected(model, x, y, cls is Joined)
    shared = roles.shared_variables(model)
    assert {layer_of(v) for v in shared} == SHARED
    labels = np.concatenate([*y.values()], axis=1) if stacks else y
    variables = model.trainable_variables
    weights = np.array([1.0, 0.5, 2.0], "float32")
    scopes = ["last_shared_layer", "shared", "all", "both"]

    def measured():
        batch = TaskGradients(model, (x, labels, None), False, scope="shared")
        if not tf.executing_eagerly():  # No pass for each task.
            assert not batch.over("all").rest.variables
        gramians = [
            batch.gramian(s) for s in scopes if s != "both" or not stacks
        ]
        return gramians, batch.combined(weights, variables, tf.ones(3))

    for run in (measured, tf.function(measured, autograph=False)):
        gramians, combined = run()
        for scope, gramian in zip(scopes, gramians, strict=False):
            mine = [v.path for v in roles.scope_variables(model, scope)]
            rows = [np.concatenate([row[p] for p in mine]) for row in found]
            np.testing.assert_allclose(
                gramian, np.stack(rows) @ np.stack(rows).T, rtol=1e-4, atol=1e-5
            )
        for variable, gradient in zip(variables, combined, strict=True):
            is_shared = layer_of(variable) in SHARED
            wanted = sum(
                (w if is_shared else 1.0) * row[variable.path]
                for w, row in zip(weights, found, strict=True)
            )
            np.testing.assert_allclose(
                np.ravel(gradient), wanted, rtol=1e-4, atol=1e-5
            )
