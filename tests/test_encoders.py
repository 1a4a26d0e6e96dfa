"""Encoders and inputs of every kind."""

import keras
import numpy as np

from keras_mtl import MultiTaskModel
from tests.reference import make_data


def test_a_dict_input_that_is_not_by_task():
    inputs = {side: keras.Input((2,), name=side) for side in ("left", "right")}
    joined = keras.layers.Concatenate()(list(inputs.values()))
    encoder = keras.Model(inputs, keras.layers.Dense(3)(joined))
    model = MultiTaskModel(encoder, {"a": keras.layers.Dense(1)})
    x = {"left": np.ones((6, 2)), "right": np.ones((6, 2))}
    model.compile("sgd", loss="mse", weighter="mgda", jit_compile=False)
    model.fit(x, {"a": np.ones(6)}, verbose=0)
    assert model.predict(x, verbose=0)["a"].shape == (6, 1)


def test_a_sequential_encoder():
    encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model = MultiTaskModel(encoder, {"task_0": keras.layers.Dense(3)})
    model.compile("sgd", loss="mse", weighter="gradnorm", jit_compile=False)
    model.fit(*make_data(1), verbose=0)


def test_an_encoder_that_is_not_functional():
    class Encoder(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.first = keras.layers.Dense(4, "relu")
            self.second = keras.layers.Dense(3)

        def call(self, inputs):
            return self.second(self.first(inputs))

    model = MultiTaskModel(
        Encoder(), {"a": keras.layers.Dense(3), "b": keras.layers.Dense(3)}
    )
    x, y = make_data(2)
    y = {"a": y["task_0"], "b": y["task_1"]}
    model.compile("sgd", loss="mse", weighter="gradnorm", jit_compile=False)
    model.fit(x, y, verbose=0)
    assert model.built
