"""Encoders that give stacked heads all representations in one tensor."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from keras_mtl import MultiTaskModel
from keras_mtl.architectures import (
    PLE,
    CrossStitch,
    Level,
    MMoE,
    SelectGate,
    SoftmaxGate,
    TaskEncoder,
    TaskLoRA,
)
from keras_mtl.gradients import TaskGradients, roles
from keras_mtl.layers import StackedHeads

NAMES, EXPERTS, UNITS = ("b", "a", "c"), 2, 4
WEIGHTS = (1.0, 0.5, 2.0)


@keras.saving.register_keras_serializable(package="tests")
class Stacked(TaskEncoder):
    """Experts, and a gate of each task that reads the inputs.

    Args:
        learned: Boolean. Whether the gates read a layer below the experts.
        order: String, how the mixture is computed.
    """

    def __init__(self, task_names, learned=False, order="bke,beu->bku", **kw):
        super().__init__(task_names, **kw)
        self.learned, self.order = learned, order
        self.bottom = layers.Dense(5, "tanh")
        self.bank = layers.Dense(EXPERTS * UNITS, "tanh")
        for task in self.task_names:
            setattr(self, f"gate_{task}", layers.Dense(EXPERTS))

    def shared(self, inputs):
        hidden = self.bottom(inputs)
        bank = ops.reshape(self.bank(hidden), (-1, EXPERTS, UNITS))
        return {"bank": bank, "low": hidden} if self.learned else bank

    def own_all(self, cut, inputs):
        bank, low = (cut["bank"], cut["low"]) if self.learned else (cut, inputs)
        gates = [getattr(self, f"gate_{task}")(low) for task in self.task_names]
        gates = ops.softmax(ops.stack(gates, axis=1))
        if self.order == "matmul":
            return ops.matmul(gates, bank)
        return ops.einsum(self.order, gates, bank)

    def get_config(self):
        own = {"learned": self.learned, "order": self.order}
        names = {"task_names": list(self.task_names)}
        return {**super().get_config(), **names, **own}


def mmoe(names, learned=False, gate="softmax"):
    """Returns the same, of gates in one variable."""
    expert = layers.Dense(UNITS, "tanh")
    bottom = layers.Dense(5, "tanh", name="bottom") if learned else None
    return MMoE(names, expert, EXPERTS, gate, bottom=bottom)


def deep(names, **arguments):
    """Returns it with gates of several layers."""
    return mmoe(names, gate=SoftmaxGate([3, 2], 2.0), **arguments)


def selecting(names, **arguments):
    """Returns it with gates that pick experts."""
    return mmoe(names, gate=SelectGate(2), **arguments)


def ple(names, wide=(UNITS,), num_own=2, num_shared=1, levels=2, **arguments):
    """Returns levels of experts, several own ones of each task."""
    expert = keras.Sequential([layers.Dense(u, "tanh") for u in wide])
    level = Level(expert, num_own, num_shared)
    return PLE(names, [level] * levels, **arguments)


def uneven(names):
    """Returns levels of which no product computes all tasks."""
    return ple(names, num_own={"b": 1, "a": 2, "c": 0})


def stitched(names):
    """Returns towers, whose own coefficients lie below the cut."""
    return CrossStitch(names, [layers.Dense(UNITS, "tanh") for _ in "123"])


def lora(names):
    """Returns a layer with a change of each task, all one by one."""
    return TaskLoRA(names, layers.Dense(5, "tanh"), UNITS, rank=2)


def build(dtype="float32", make=Stacked, units=2, **arguments):
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(dtype)
    model = MultiTaskModel(make(NAMES, **arguments), StackedHeads(NAMES, units))
    model.compile("sgd", loss="mse", jit_compile=False, weighter="mgda")
    model(np.zeros((2, 6), dtype))
    keras.config.set_dtype_policy("float32")
    return model


def lowest(cut):
    """Returns the tensors of a cut that follow from none of the others."""
    found = cut.tensors
    if not isinstance(found, dict):
        return [found]
    if set(found) == set(NAMES):
        return keras.tree.flatten(found)
    for name in ("low", "features"):  # The bank follows from it.
        if name in found:
            return [found[name]]
    shared = found["shared"] if "shared" in found else found["experts"]
    if isinstance(shared, list):  # Own experts follow from the streams.
        shared = shared[-1]
    elif isinstance(shared, dict):
        shared = shared[""]
    return [shared, *keras.tree.flatten(found.get("streams", []))]


def data(rows=7, units=2):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 6)).astype("float32")
    shape = (rows, len(NAMES), units) if units > 1 else (rows, len(NAMES))
    return x, rng.normal(size=shape).astype("float32")


def exact_rows(model, x, y, sources):
    """Returns the `(K, P)` Jacobian in float64, a tape for each task."""
    rows = []
    for number in range(len(NAMES)):
        with tf.GradientTape() as tape:
            representations, cut, _ = model.encoder(x, return_cut=True)
            outputs = model.heads(representations)
            loss = tf.reduce_mean((outputs - y)[:, number] ** 2)
        at = [getattr(source, "value", source) for source in sources(cut)]
        flat = [
            np.zeros(source.shape) if gradient is None else gradient
            for source, gradient in zip(
                at, tape.gradient(loss, at), strict=True
            )
        ]
        rows.append(np.concatenate(list(map(np.ravel, flat))))
    return np.stack(rows)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"order": "bke,be...->bk..."},
        {"order": "matmul"},
        {"learned": True},
        {"learned": True, "units": 1},
        {"make": mmoe, "units": 1},
        {"make": mmoe, "learned": True},
        {"make": deep, "learned": True},
        {"make": selecting},
        {"make": ple, "levels": 3, "num_own": 1, "gate": "dselect_k"},
        {"make": ple, "levels": 1, "wide": (3, UNITS), "units": 1},
        {"make": ple, "wide": (3, UNITS)},
        {"make": ple, "residual": True},
        {"make": ple, "num_own": 0, "num_shared": 2},
        {"make": ple, "stop_gradient_others": True},
        {"make": uneven},
        {"make": stitched},
        {"make": lora, "units": 1},
    ],
)
def test_gradients_are_those_of_a_tape_for_each_task(arguments):
    model, exact = build(**arguments), build("float64", **arguments)
    for mine, theirs in zip(exact.weights, model.weights, strict=False):
        mine.assign(tf.cast(theirs, mine.dtype))
    x, y = data(units=arguments.get("units", 2))
    wide = x.astype("float64"), y.astype("float64")
    pairs = list(
        zip(model.trainable_variables, exact.trainable_variables, strict=False)
    )
    every = exact_rows(exact, *wide, lambda _: [twin for _, twin in pairs])
    ends = np.cumsum([int(np.prod(twin.shape)) for _, twin in pairs])[:-1]
    jacobians = np.split(every, ends, axis=1)
    # Those of which no entry has gradients of several tasks.
    own = {
        id(variable)
        for (variable, _), rows in zip(pairs, jacobians, strict=True)
        if np.max(np.count_nonzero(rows, axis=0)) <= 1
    }
    assert {id(v) for v in roles.head_variables(model)} == own
    scopes = {"representation": lowest}
    for scope in ("shared", "all"):
        chosen = {id(v) for v in roles.scope_variables(model, scope)}
        chosen = [e for v, e in pairs if id(v) in chosen]
        scopes[scope] = lambda cut, chosen=chosen: chosen
    for scope, sources in scopes.items():
        rows = exact_rows(exact, *wide, sources)

        def measure(scope=scope):
            batch = TaskGradients(model, (x, y, None), True, scope=scope)
            return (
                batch.gramian(scope),
                batch.norms(scope),
                batch.combined(
                    tf.constant(WEIGHTS), model.trainable_variables, tf.ones(3)
                ),
            )

        for run in (measure, tf.function(measure, autograph=False)):
            gramian, norms, combined = run()
            np.testing.assert_allclose(
                gramian, rows @ rows.T, rtol=1e-4, atol=1e-6
            )
            np.testing.assert_allclose(
                norms, np.linalg.norm(rows, axis=1), rtol=1e-4
            )
        for (variable, _), rows, received in zip(
            pairs, jacobians, combined, strict=True
        ):
            weights = np.ones(3) if id(variable) in own else WEIGHTS
            np.testing.assert_allclose(
                np.ravel(received), weights @ rows, rtol=1e-3, atol=1e-6
            )


@pytest.mark.parametrize(
    "make", [Stacked, mmoe, deep, selecting, ple, stitched]
)
def test_it_trains_and_is_saved_and_served(make, tmp_path):
    """The step of `mgda` is that of its weights, and all files predict it."""
    model, (x, y) = build(make=make), data()
    before = [np.array(v) for v in model.trainable_variables]
    model.fit(x, y, batch_size=len(x), verbose=0)
    weights = tf.constant(list(model.task_weights.values()))
    assert np.ptp(weights) > 0.0
    for variable, start in zip(model.trainable_variables, before, strict=True):
        assert np.any(np.array(variable) != start)
    after = [np.array(v) for v in model.trainable_variables]
    for variable, start in zip(model.trainable_variables, before, strict=True):
        variable.assign(start)
    rows = TaskGradients(model, (x, y, None), True)
    steps = rows.combined(weights, model.trainable_variables, tf.ones(3))
    for start, step, end in zip(before, steps, after, strict=True):
        np.testing.assert_allclose(start - 0.01 * step, end, atol=1e-6)

    expected = model.predict(x, verbose=0)
    assert expected.shape == y.shape
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), expected)
    model.export(tmp_path / "served", verbose=False)
    reloaded = tf.saved_model.load(str(tmp_path / "served"))
    served = reloaded.serve(x)
    for number, task in enumerate(NAMES):
        np.testing.assert_allclose(served[task], expected[:, number], 1e-5)
