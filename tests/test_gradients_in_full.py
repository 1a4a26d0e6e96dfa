"""Every task's gradient in full, and updates that are made of more than one
weight for each task, against formulas in float64 NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel, weighters
from keras_mtl.architectures import TaskEncoder
from keras_mtl.combination import Combination
from keras_mtl.weighters import ExcessMTL, GradDrop, GradientWeighter
from tests.reference import (
    jacobian,
    make_data,
    make_model,
    parameters,
    task_losses,
)
from tests.training import make_data as training_data
from tests.training import new_model, read

RATE, FIXED, TRUNK = 0.1, np.array([0.5, 2.0, 1.0]), 4 * 5 + 5


class Rows(GradientWeighter):
    """Keeps the gradients, and updates by three times them, and one."""

    default_scope = "last_shared_layer"

    def build(self, gradients_shape):
        self.shown = self.add_state("shown", gradients_shape)

    def call(self, gradients):
        self.shown.assign(gradients)
        ones = tf.ones_like(gradients[:, 0])
        return Combination(ones, ones, rows=3.0 * gradients + 1.0)


class Coordinates(GradientWeighter):
    """Keeps the sums, and weighs coordinate d of task k by k + d / 10."""

    default_scope = "representation"

    def build(self, signed_gradients_shape):
        self.shown = self.add_state("shown", signed_gradients_shape)

    def call(self, signed_gradients):
        self.shown.assign(signed_gradients)
        ones = tf.ones_like(signed_gradients[:, 0])
        weights = factors(*signed_gradients.shape).astype("float32")
        return Combination(ones, ones, coordinates=tf.constant(weights))


def factors(num_tasks, size):
    return np.arange(num_tasks)[:, None] + np.arange(size) / 10.0


def compiled(weighter, jit_compile=False, optimizer=None):
    model = make_model(3)
    names = model.task_names
    model.compile(
        optimizer or keras.optimizers.SGD(RATE),
        "mse",
        loss_weights=dict(zip(names, FIXED.tolist(), strict=True)),
        weighter=weighter,
        jit_compile=jit_compile,
    )
    return model


def at_representation(model, x, y):
    """Returns hidden values `(B, D)` and the tasks' gradients `(K, B, D)`."""
    kernel, bias = (v.numpy() for v in model.encoder.trainable_variables)
    hidden = np.tanh(np.float64(x) @ kernel + bias)
    gradients = []
    for task, head in model.heads.items():
        matrix, shift = (
            np.float64(v.numpy()) for v in head.trainable_variables
        )
        error = hidden @ matrix + shift - y[task]
        gradients.append(2.0 * error @ matrix.T / error.size)
    return hidden, np.stack(gradients)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_rows_are_the_gradients_and_make_the_update(jit_compile):
    model = compiled(Rows(), jit_compile)
    x, y = make_data(3)
    theta = parameters(model)
    gradients = jacobian(lambda t: task_losses(model, t, x, y), theta)
    model.train_on_batch(x, y)
    np.testing.assert_allclose(
        model.weighter.shown, gradients[:, :TRUNK], rtol=1e-4, atol=1e-6
    )
    gradients[:, :TRUNK] = 3.0 * gradients[:, :TRUNK] + 1.0
    np.testing.assert_allclose(
        parameters(model) - theta, -RATE * FIXED @ gradients, atol=2e-6
    )


@pytest.mark.parametrize("jit_compile", [False, True])
def test_coordinates_have_weights_of_their_own(jit_compile):
    model = compiled(Coordinates(), jit_compile)
    x, y = make_data(3)
    theta = parameters(model)
    gradients = jacobian(lambda t: task_losses(model, t, x, y), theta)
    hidden, pulled = at_representation(model, x, y)
    model.train_on_batch(x, y)
    expected = FIXED[:, None] * np.sum(np.sign(hidden) * pulled, axis=1)
    np.testing.assert_allclose(model.weighter.shown, expected, atol=1e-6)
    weights = FIXED[:, None] * factors(3, 5)
    below = np.einsum("kd,kbd->bd", weights, pulled) * (1.0 - hidden**2)
    trunk = np.concatenate([np.ravel(np.float64(x).T @ below), below.sum(0)])
    heads = FIXED @ gradients[:, TRUNK:]
    np.testing.assert_allclose(
        parameters(model) - theta,
        -RATE * np.concatenate([trunk, heads]),
        atol=2e-6,
    )


def test_at_the_representation_gradients_are_those_of_a_bias():
    class OfBias(Rows):
        def call(self, gradients):
            self.shown.assign(gradients)
            return tf.ones_like(gradients[:, 0])

    model = compiled(OfBias(scope="representation"))
    x, y = make_data(3)
    _, pulled = at_representation(model, x, y)
    model.train_on_batch(x, y)
    np.testing.assert_allclose(
        model.weighter.shown, pulled.sum(axis=1), atol=1e-6
    )


def test_the_loss_scale_is_no_part_of_them():
    plain, scaled = (
        compiled(
            Rows(),
            optimizer=keras.optimizers.LossScaleOptimizer(
                keras.optimizers.SGD(RATE), initial_scale=scale
            ),
        )
        for scale in (1.0, 1024.0)
    )
    for model in (plain, scaled):
        model.train_on_batch(*make_data(3))
    np.testing.assert_allclose(
        scaled.weighter.shown, plain.weighter.shown, rtol=1e-5, atol=1e-7
    )
    np.testing.assert_allclose(
        parameters(scaled), parameters(plain), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("make", [Rows, Coordinates])
def test_two_replicas_are_one_device(strategy, make):
    with strategy.scope():
        received = new_model(make(), keras.optimizers.SGD(0.05))
    expected = new_model(make(), keras.optimizers.SGD(0.05))
    for model in (received, expected):
        model.fit(
            *training_data(13), batch_size=8, shuffle=False, verbose=0, epochs=2
        )
    for mine, other in zip(
        read([*received.trainable_variables, received.weighter.shown]),
        read([*expected.trainable_variables, expected.weighter.shown]),
        strict=True,
    ):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=2e-5)


def test_a_model_goes_on_from_its_file(tmp_path):
    x, y = training_data(12)
    model = new_model(ExcessMTL(step_size=0.5))
    model.fit(x, y, verbose=0, epochs=2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for again in (model, loaded):
        again.train_on_batch(x, y)
    for mine, other in zip(
        read(loaded.weighter.variables),
        read(model.weighter.variables),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, other)


def test_a_built_model_takes_one_and_gives_it_up():
    x, y = training_data(12)
    model = new_model("uniform")
    model.fit(x, y, verbose=0)
    model.fit(x, y, verbose=0, weighter=GradDrop(seed=1))
    assert 0.0 < model.task_weights["tone"] < 1.0
    model.fit(x, y, verbose=0, weighter="excess_mtl")
    model.fit(x, y, verbose=0, weighter="uniform")


def test_unsuitable_models_are_told_before_training():
    class Uncut(TaskEncoder):
        def __init__(self, task_names):
            super().__init__(task_names)
            self.trunk = keras.layers.Dense(3)

        def build(self, input_shape):
            self.trunk.build(input_shape)

        def call(self, inputs):
            return dict.fromkeys(self.task_names, self.trunk(inputs))

    x, y = training_data(12)
    heads = {task: keras.layers.Dense(y[task].shape[-1]) for task in y}
    model = MultiTaskModel(Uncut(heads), heads)
    model(x)
    with pytest.raises(ValueError, match="encoder does not say"):
        model.compile("sgd", "mse", weighter=GradDrop(), jit_compile=False)
    weighter = weighters.ExcessMTL(scope="shared")
    with pytest.raises(ValueError, match="3 times 25 numbers of the scope"):
        new_model(weighter)
