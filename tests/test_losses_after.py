"""Losses on the same batch at the new parameters, and nothing else moves."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.training import random_state
from keras_mtl.weighters import Weighter
from tests.training import (
    LOSSES,
    TASKS,
    differing,
    make_data,
    new_model,
    read,
    separate,
    state,
)


class Keeps(Weighter):
    """Uniform weights; keeps what it is shown."""

    def build(self, losses_shape):
        self.shown = self.add_state("shown", losses_shape)

    def call(self, losses):
        return tf.ones_like(losses)

    def observe(self, losses_after):
        self.shown.assign(losses_after)
        return tf.convert_to_tensor(self.task_weights)


RANDOM = {"dropout": 0.5, "batch_norm": True}


def mean_losses(forward, x, y):
    outputs = forward(x, training=True)
    return [
        float(tf.reduce_mean(keras.losses.get(LOSSES[t])(y[t], outputs[t])))
        for t in TASKS
    ]


@pytest.mark.parametrize(
    ("inputs", "compiled"),
    [("shared", False), ("shared", True), ("separate", False)],
)
def test_the_forward_pass_is_the_same_but_for_the_parameters(inputs, compiled):
    model = new_model(Keeps(), model=RANDOM, jit_compile=compiled)
    plain = new_model("uniform", model=RANDOM, jit_compile=compiled)
    other = new_model("uniform", model=RANDOM)
    # XLA turns random numbers into other fractions.
    forward = tf.function(other, autograph=False, jit_compile=compiled)
    batches = [make_data(12, seed) for seed in range(3)]
    for x, y in batches:
        x = separate((x, y))[0] if inputs == "separate" else x
        random = random_state.states(model)
        first = read(random)
        model.train_on_batch(x, y)
        plain.train_on_batch(x, y)
        # By hand: the masks drawn before, at the parameters after.
        latest = read(random)
        assert not any(map(np.array_equal, first, latest))
        other.set_weights(model.get_weights()[: len(other.get_weights())])
        for variable, value in zip(
            random_state.states(other), first, strict=True
        ):
            variable.assign(value)
        np.testing.assert_allclose(
            model.weighter.shown.numpy(),
            mean_losses(forward, x, y),
            rtol=1e-5,
        )
    # All else is as if no one had looked.
    mine, theirs = state(model), state(plain)
    own = [name for name in mine if name.startswith("weighter")]
    for name in own:
        mine.pop(name)
        theirs.pop(name, None)
    if compiled:  # XLA fuses, and so rounds, another graph otherwise.
        assert list(mine) == list(theirs)
        for name, value in theirs.items():
            np.testing.assert_allclose(mine[name], value, rtol=1e-6, atol=1e-7)
    else:
        assert not differing(mine, theirs)
    np.testing.assert_array_equal(
        np.stack(read(random_state.states(model))),
        np.stack(read(random_state.states(plain))),
    )


def test_two_replicas_see_the_global_batch(strategy):
    x, y = make_data(13)
    with strategy.scope():
        received = new_model(Keeps())
    expected = new_model(Keeps())
    for model in (received, expected):
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0, epochs=2)
    for replica in strategy.experimental_local_results(
        received.weighter.shown.value
    ):
        np.testing.assert_allclose(
            replica, expected.weighter.shown.value, rtol=1e-5
        )
