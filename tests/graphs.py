"""Functional models whose tasks part at several places, by name."""

import keras
import numpy as np

layers = keras.layers


def _dense(units, name, activation="tanh"):
    return layers.Dense(units, activation, name=name)


def chain():
    """Tasks leave at three depths."""
    x = keras.Input((6,), name="x")
    low = _dense(5, "h1")(x)
    middle = _dense(4, "h2")(low)
    high = _dense(3, "h3")(middle)
    places = {"a": low, "b": middle, "c": high, "d": high}
    return keras.Model(x, {t: _dense(1, t, None)(h) for t, h in places.items()})


def esmm():
    """A product of two towers, one of which is a task, too."""
    x = keras.Input((6,), name="x")
    trunk = _dense(5, "trunk")(x)
    clicks = _dense(1, "ctr", "sigmoid")(_dense(4, "click_tower")(trunk))
    buys = _dense(1, "cvr", "sigmoid")(_dense(4, "buy_tower")(trunk))
    return keras.Model(x, {"ctr": clicks, "ctcvr": clicks * buys})


def tokens():
    """A recurrent trunk whose mask the heads read (keras 4594)."""
    x = keras.Input((8,), dtype="int32", name="x")
    embedded = layers.Embedding(11, 4, mask_zero=True, name="table")(x)
    states = layers.LSTM(3, return_sequences=True, name="states")(embedded)
    outputs = {
        "token": _dense(2, "token", None)(states),
        "text": _dense(1, "text", None)(layers.LSTM(2, name="last")(states)),
    }
    return keras.Model(x, outputs)


# What serves several tasks, and where each task is measured by
# `last_shared_layer`: read off the drawings.
GRAPHS = {
    "chain": (chain, {"h1", "h2", "h3"}, ["h1", "h2", "h3", "h3"]),
    "esmm": (esmm, {"trunk", "click_tower", "ctr"}, ["ctr", "ctr"]),
    "tokens": (tokens, {"table", "states"}, ["states", "states"]),
}


def data(model, rows=5):
    """Returns inputs and labels for one of the models."""
    rng = np.random.default_rng(0)
    if model.input.dtype == "int32":
        x = rng.integers(0, 11, (rows, 8)).astype("int32")
    else:
        x = rng.normal(size=(rows, 6)).astype("float32")
    y = {
        task: rng.normal(size=output.shape).astype("float32")
        for task, output in model(x).items()
    }
    return x, y
