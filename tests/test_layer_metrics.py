"""A layer's own metrics are logged as plain Keras logs them."""

import keras
import numpy as np
import pytest

import keras_mtl


class Noting(keras.layers.Layer):
    def __init__(self, name):
        super().__init__(name=f"layer_{name}")
        self.mean = keras.metrics.Mean(name)

    def call(self, inputs):
        self.mean.update_state(inputs)
        return inputs


def dense():
    return keras.layers.Dense(1, kernel_initializer="ones")


def test_metrics_of_encoder_and_head_are_logged_as_by_plain_keras():
    x = np.arange(16, dtype="float32").reshape(8, 2)
    y = x.sum(axis=1, keepdims=True)
    arguments = {"batch_size": 4, "epochs": 2, "shuffle": False, "verbose": 0}

    plain = keras.Sequential(
        [keras.Input((2,)), Noting("kl"), dense(), Noting("level")]
    )
    plain.compile(keras.optimizers.SGD(0.001), "mse")
    expected = plain.fit(
        x, y + 1, validation_data=(x[:4], y[:4]), **arguments
    ).history
    encoder = keras.Sequential([keras.Input((2,)), Noting("kl")])
    heads = {"a": keras.Sequential([dense(), Noting("level")]), "b": dense()}
    model = keras_mtl.MultiTaskModel(encoder, heads)
    model.compile(keras.optimizers.SGD(0.001), "mse")
    history = model.fit(
        x,
        {"a": y + 1, "b": y},
        validation_data=(x[:4], {"a": y[:4], "b": y[:4]}),
        **arguments,
    ).history

    names = ["kl", "level", "val_kl", "val_level"]
    assert {n: history[n] for n in names} == {
        n: pytest.approx(expected[n], rel=1e-5) for n in names
    }
    # The mean of 0 to 15, and of 0 to 7: each epoch begins anew.
    assert history["kl"] == [7.5, 7.5]
    assert history["val_kl"] == [3.5, 3.5]
    kwargs = {"verbose": 0, "return_dict": True}
    logs = model.evaluate(x, {"a": y, "b": y}, **kwargs)
    right = plain.evaluate(x, y, **kwargs)
    assert [logs[n] for n in names[:2]] == pytest.approx(
        [right[n] for n in names[:2]], rel=1e-5
    )
    assert model.train_on_batch(
        x[:4], {"a": y[:4], "b": y[:4]}, return_dict=True
    )["kl"] == pytest.approx(3.5)
