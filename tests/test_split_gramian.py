"""Inner products of gradients on even and on odd rows."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.gradients import TaskGradients, split_gramian
from keras_mtl.layers import StackedHeads
from keras_mtl.weighters import GradientWeighter
from tests.reference import (
    jacobian,
    make_data,
    make_model,
    parameters,
    task_losses,
)
from tests.training import make_data as training_data
from tests.training import new_model

TRUNK = 4 * 5 + 5


class Keeps(GradientWeighter):
    """Plain gradients; keeps what it is shown."""

    scales_heads = False

    def build(self, split_gramian_shape):
        self.shown = self.add_state("shown", split_gramian_shape)

    def call(self, split_gramian):
        self.shown.assign(split_gramian)
        return tf.ones_like(split_gramian[0])


def compiled(model, **kwargs):
    sgd = keras.optimizers.SGD(0.1)
    model.compile(sgd, "mse", weighter=Keeps(), jit_compile=False, **kwargs)
    return model


def expected_gramian(model, x, y, scope, fixed, rows=7):
    """By the complex step, on every second row (float64)."""
    theta, halves = parameters(model), []
    for start in (0, 1):
        part = slice(start, rows, 2)
        some = {task: label[part] for task, label in y.items()}
        if isinstance(x, dict):
            inputs = {task: value[part] for task, value in x.items()}
        else:
            inputs = x[part]
        gradients = jacobian(
            lambda t, i=inputs, s=some: task_losses(model, t, i, s), theta
        )
        size = len(theta) if scope == "all" else TRUNK
        halves.append(gradients[:, :size] * np.array(fixed)[:, None])
    return halves[0] @ halves[1].T


@pytest.mark.parametrize("scope", ["shared", "all"])
@pytest.mark.parametrize("kind", ["shared", "separate"])
def test_halves_are_those_of_the_formula(kind, scope):
    model, fixed = make_model(3), [0.5, 2.0, 1.0]
    x, y = make_data(3)
    if kind == "separate":
        x = {task: x + 0.1 * k for k, task in enumerate(y)}
    names = model.task_names
    compiled(model, loss_weights=dict(zip(names, fixed, strict=True)))
    model.weighter.scope = scope
    expected = expected_gramian(model, x, y, scope, fixed)
    model.train_on_batch(x, y)
    received = model.weighter.shown.numpy()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(received, expected, atol=1e-5 * scale)


def test_a_task_without_labels_in_one_half_is_absent():
    model = compiled(make_model(2))
    x, y = make_data(2)
    weight = {task: np.ones(7, "float32") for task in y}
    weight["task_0"][[1, 5]] = 0.0  # Row 3 is left of the odd ones.
    batch = TaskGradients(model, (x, y, weight), training=True)
    theta = parameters(model)
    even, odd = (
        jacobian(
            lambda t, r=rows: task_losses(
                model, t, x[r], {k: v[r] for k, v in y.items()}
            ),
            theta,
        )[0, :TRUNK]
        for rows in ([0, 2, 4, 6], [3])
    )
    received = batch.split_gramian("shared").numpy()
    np.testing.assert_allclose(received[0, 0], even @ odd, rtol=1e-4)
    weight["task_0"][3] = 0.0
    batch = TaskGradients(model, (x, y, weight), training=True)
    received = batch.split_gramian("shared").numpy()
    assert not received[0].any()
    assert not received[:, 0].any()
    assert received[1, 1] != 0.0


def new_encoder(meets):
    """A table, a convolution, a layer used twice and biases."""
    inputs = x = keras.Input((6,), dtype="int32")
    x = keras.layers.Embedding(11, 4)(x)
    x = keras.layers.Reshape((6, 4, 1))(x)
    x = keras.layers.Conv2D(5, 3, activation="tanh")(x)
    x = keras.layers.Flatten()(x)
    again = keras.layers.Dense(40, "tanh")
    x = again(again(x))
    if meets:
        x = keras.layers.BatchNormalization()(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize("meets", [False, True])
def test_one_pass_for_both_halves_is_as_good_as_two(meets, monkeypatch):
    """Traced, by layer; eagerly, by a pass for each task and half."""
    taken, of_layers = [], split_gramian.halved_products

    def spy(*args):
        taken.append(of_layers(*args) is not None)
        return of_layers(*args)

    monkeypatch.setattr(split_gramian, "halved_products", spy)
    keras.utils.set_random_seed(0)
    heads = {"a": keras.layers.Dense(1), "b": keras.layers.Dense(9)}
    losses = {"a": "mse", "b": "sparse_categorical_crossentropy"}
    heads["b"].activation = keras.activations.softmax
    model = MultiTaskModel(new_encoder(meets), heads)
    model.compile("sgd", losses, weighter=Keeps(), jit_compile=False)
    rng = np.random.default_rng(0)
    x = tf.constant(rng.integers(0, 11, (7, 6)), tf.int32)
    y = {
        "a": tf.constant(rng.normal(size=(7, 1)), tf.float32),
        "b": tf.constant(rng.integers(0, 9, 7)),
    }
    weight = {"a": tf.constant([1.0, 0.0, 2.0, 1.0, 0.5, 1.0, 1.0])}
    model(x)
    batch = (x, y, weight)

    def both(batch):
        gradients = TaskGradients(model, batch, training=True, scope="all")
        return [gradients.split_gramian(s) for s in ("shared", "all")]

    expected = both(batch)
    assert not taken
    received = tf.function(both, autograph=False)(batch)
    assert taken == ([] if meets else [True, True])
    for ours, theirs in zip(received, expected, strict=True):
        scale = np.abs(theirs).max()
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * scale)


def test_stacked_tasks():
    """As if each had a head of its own."""
    x, y = make_data(3, outputs=1)
    named = compiled(make_model(3, outputs=1))
    heads = StackedHeads(named.task_names, 1)
    stacked = compiled(MultiTaskModel(named.encoder, heads))
    labels = np.concatenate([y[task] for task in named.task_names], axis=1)
    stacked(x)
    weights = [named.heads[task].get_weights() for task in named.task_names]
    kernels, biases = zip(*weights, strict=True)
    heads.set_weights([np.concatenate(kernels, 1), np.concatenate(biases)])
    expected = TaskGradients(named, (x, y, None), training=True)
    received = TaskGradients(stacked, (x, labels, None), training=True)
    np.testing.assert_allclose(
        received.split_gramian("shared"),
        expected.split_gramian("shared"),
        rtol=1e-4,
        atol=1e-5,
    )


def test_rows_of_a_representation_do_not_meet():
    model = compiled(make_model(2))
    batch = TaskGradients(model, (*make_data(2), None), training=True)
    with pytest.raises(ValueError, match="no rows of the representation in"):
        batch.split_gramian("representation")


def test_two_replicas_count_rows_over_the_global_batch(strategy):
    x, y = training_data(13)  # The last batch has 3 and 2 rows.
    with strategy.scope():
        received = new_model(Keeps())
    expected = new_model(Keeps())
    for model in (received, expected):
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    for replica in strategy.experimental_local_results(
        received.weighter.shown.value
    ):
        np.testing.assert_allclose(
            replica, expected.weighter.shown.value, rtol=1e-4, atol=1e-5
        )
