"""Functional models whose tasks part at several places, by name."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np

from tests.tied import Tied

layers = keras.layers


class Graph(NamedTuple):
    """A functional model, and what its drawing says of it.

    Args:
        make: Function that returns inputs, outputs by task, and the lowest
            tensors that all tasks pass; none where there are no such tensors.
        shared: Set of the layers that serve several tasks.
        last: List of sets: for each task the layers where it is measured by
            `last_shared_layer`.
        rows: Function from a generator and a number to that many inputs.
    """

    make: Callable
    shared: set
    last: list
    rows: Callable

    def model(self):
        """Returns the Keras model."""
        inputs, outputs, _ = self.make()
        return keras.Model(inputs, outputs)


def _dense(units, name, activation="tanh"):
    return layers.Dense(units, activation, name=name)


def _heads(places, units=1):
    return {t: _dense(units, t, None)(place) for t, place in places.items()}


def _features():
    return keras.Input((6,), name="x")


def _words():
    return keras.Input((4,), dtype="int32", name="x")


def chain():
    """Tasks leave at three depths."""
    x = _features()
    low = _dense(5, "h1")(x)
    middle = _dense(4, "h2")(low)
    high = _dense(3, "h3")(middle)
    return x, _heads({"a": low, "b": middle, "c": high, "d": high}), [low]


def cascade():
    """A head reads another head's prediction."""
    x = _features()
    trunk = _dense(5, "trunk")(x)
    first = _dense(2, "a", None)(trunk)
    both = layers.Concatenate(name="both")([trunk, first])
    return x, {"a": first, "b": _dense(1, "b", None)(both)}, [trunk]


def stopped_cascade():
    """The same, and no gradient comes back."""
    x = _features()
    trunk = _dense(5, "trunk")(x)
    first = _dense(2, "a", None)(trunk)
    read = keras.ops.stop_gradient(first)
    both = layers.Concatenate(name="both")([trunk, read])
    return x, {"a": first, "b": _dense(1, "b", None)(both)}, [trunk]


def esmm():
    """A product of two towers, one of which is a task, too."""
    x = _features()
    trunk = _dense(5, "trunk")(x)
    clicks = _dense(1, "ctr", "sigmoid")(_dense(4, "click_tower")(trunk))
    buys = _dense(1, "cvr", "sigmoid")(_dense(4, "buy_tower")(trunk))
    return x, {"ctr": clicks, "ctcvr": clicks * buys}, [trunk]


def _mix(name, gate_input, experts):
    shares = _dense(len(experts), name, "softmax")(gate_input)
    stacked = keras.ops.stack(experts, axis=1)
    return keras.ops.sum(shares[:, :, None] * stacked, axis=1)


def experts():
    """A gate for each task mixes two experts."""
    x = _features()
    bank = [_dense(3, f"expert_{n}")(x) for n in (1, 2)]
    mixed = {task: _mix(f"gate_{task}", x, bank) for task in "abc"}
    return x, _heads(mixed), bank


def ple():
    """Three levels of experts, written as the paper draws them."""
    x = _features()
    streams = dict.fromkeys("abs", x)
    for level in range(3):
        made = {
            n: _dense(3, f"expert_{n}{level}")(h) for n, h in streams.items()
        }
        mixed = {
            task: _mix(
                f"gate_{task}{level}", streams[task], [made[task], made["s"]]
            )
            for task in "ab"
        }
        if level < 2:
            mixed["s"] = _mix(f"gate_s{level}", streams["s"], [*made.values()])
        streams = mixed
    return x, _heads(streams), []


def unet():
    """Heads tap maps on the way down, at the bottom and at the top."""
    x = keras.Input((4, 4, 2), name="x")

    def conv(channels, name):
        return layers.Conv2D(
            channels, 3, padding="same", activation="tanh", name=name
        )

    fine = conv(3, "fine")(x)
    coarse = conv(4, "coarse")(layers.AveragePooling2D(2, name="pool")(fine))
    up = layers.UpSampling2D(name="up")(coarse)
    top = conv(3, "top")(layers.Concatenate(name="skip")([fine, up]))
    places = {"edges": fine, "mask": top, "depth": top}
    outputs = {
        task: layers.Conv2D(1, 1, name=task)(place)
        for task, place in places.items()
    }
    pooled = layers.GlobalAveragePooling2D(name="mean")(coarse)
    outputs["scene"] = _dense(2, "scene", None)(pooled)
    return x, outputs, [fine]


def neck():
    """Two of three tasks have a neck in common."""
    x = _features()
    trunk = _dense(5, "trunk")(x)
    both = _dense(4, "neck")(trunk)
    return x, _heads({"a": both, "b": both, "c": trunk}, 2), [trunk]


def tied():
    """A head multiplies by the table that embeds the words."""
    x = _words()
    table = layers.Embedding(11, 4, name="table")
    pooled = layers.GlobalAveragePooling1D(name="pooled")(table(x))
    trunk = _dense(4, "trunk")(pooled)
    outputs = {"words": Tied(table, name="words")(trunk)}
    return x, outputs | _heads({"kind": trunk}), [trunk]


def two_inputs():
    """A task reads one of two inputs once more."""
    inputs = {n: keras.Input((3,), name=n) for n in ("left", "right")}
    both = layers.Concatenate(name="both")(
        [_dense(3, f"of_{n}")(part) for n, part in inputs.items()]
    )
    trunk = _dense(4, "trunk")(both)
    again = layers.Concatenate(name="again")(
        [trunk, _dense(2, "of_a")(inputs["right"])]
    )
    return inputs, _heads({"a": again, "b": trunk}), [trunk]


def tokens():
    """A recurrent trunk whose mask the heads read (keras 4594)."""
    x = _words()
    embedded = layers.Embedding(11, 4, mask_zero=True, name="table")(x)
    states = layers.LSTM(3, return_sequences=True, name="states")(embedded)
    outputs = {
        "token": _dense(2, "token", None)(states),
        "text": _dense(1, "text", None)(layers.LSTM(2, name="last")(states)),
    }
    return x, outputs, [states]


def residual():
    """What all follow from goes around a tap; two part inside an operation."""
    x = _features()
    trunk = _dense(4, "trunk")(x)
    tap = _dense(4, "tap")(trunk)
    top = _dense(6, "top")(trunk - tap)  # Keras adds no empty batch.
    left, right = keras.ops.split(top, 2, axis=-1)
    return x, _heads({"a": left, "b": right, "c": tap}), [trunk]


def nested():
    """The trunk is one layer, a model with two outputs."""
    inner_x = _features()
    low = _dense(5, "low")(inner_x)
    inner = keras.Model(inner_x, [low, _dense(4, "high")(low)], name="inner")
    x = _features()
    low, high = inner(x)
    return x, _heads({"a": low, "b": high, "c": high}), [low]


def _floats(*shape):
    return lambda rng, rows: rng.normal(size=(rows, *shape)).astype("float32")


def _numbers(rng, rows):
    words = rng.integers(0, 11, (rows, 4)).astype("int32")
    words[::2, -1] = 0  # Some texts are shorter.
    return words


def _pairs(rng, rows):
    return {n: _floats(3)(rng, rows) for n in ("left", "right")}


_LEVELS = {f"{part}{n}" for n in (0, 1) for part in ("expert_a", "expert_b")}
_LEVELS |= {"expert_s0", "expert_s1", "expert_s2", "gate_s0", "gate_s1"}
_LEVELS |= {"gate_a0", "gate_b0"}

GRAPHS = {
    "chain": Graph(
        chain,
        {"h1", "h2", "h3"},
        [{"h1"}, {"h2"}, {"h3"}, {"h3"}],
        _floats(6),
    ),
    "cascade": Graph(cascade, {"trunk", "a"}, [{"a"}] * 2, _floats(6)),
    "stopped_cascade": Graph(
        stopped_cascade, {"trunk"}, [{"trunk"}] * 2, _floats(6)
    ),
    "esmm": Graph(
        esmm, {"trunk", "click_tower", "ctr"}, [{"ctr"}] * 2, _floats(6)
    ),
    "experts": Graph(
        experts,
        {"expert_1", "expert_2"},
        [{"expert_1", "expert_2"}] * 3,
        _floats(6),
    ),
    "ple": Graph(ple, _LEVELS, [{"expert_s2"}] * 2, _floats(6)),
    "unet": Graph(
        unet,
        {"fine", "coarse", "top"},
        [{"fine"}, {"top"}, {"top"}, {"coarse"}],
        _floats(4, 4, 2),
    ),
    "neck": Graph(
        neck, {"trunk", "neck"}, [{"neck"}, {"neck"}, {"trunk"}], _floats(6)
    ),
    "tied": Graph(tied, {"table", "trunk"}, [{"trunk"}] * 2, _numbers),
    "two_inputs": Graph(
        two_inputs, {"of_left", "of_right", "trunk"}, [{"trunk"}] * 2, _pairs
    ),
    "tokens": Graph(tokens, {"table", "states"}, [{"states"}] * 2, _numbers),
    "residual": Graph(
        residual,
        {"trunk", "tap", "top"},
        [{"top"}, {"top"}, {"tap"}],
        _floats(6),
    ),
    "nested": Graph(
        nested, {"low", "high"}, [{"low"}, {"high"}, {"high"}], _floats(6)
    ),
}


def layer_of(variable):
    """Returns the name of the layer that a variable is of."""
    return variable.path.split("/")[0]


def data(graph, rows=5, seed=0):
    """Returns inputs, and labels by task, for one of the graphs."""
    rng = np.random.default_rng(seed)
    x = graph.rows(rng, rows)
    y = {
        task: rng.normal(size=(rows, *output.shape[1:])).astype("float32")
        for task, output in graph.make()[1].items()
    }
    return x, y


def separate_data(graph, rows=5):
    """Returns the same with inputs of each task's own, ever fewer rows."""
    tasks = list(graph.make()[1])
    batches = {t: data(graph, rows - k, k) for k, t in enumerate(tasks)}
    x = {task: batch[0] for task, batch in batches.items()}
    return x, {task: batch[1][task] for task, batch in batches.items()}
