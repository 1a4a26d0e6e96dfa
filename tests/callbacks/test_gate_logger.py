"""Gate weights, written and drawn."""

import csv

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel
from keras_mtl.architectures import PLE, Level, MMoE
from keras_mtl.callbacks import GateLogger

X = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
Y = {t: X[:, :1] for t in ("a", "b")}


def model_of(encoder):
    heads = {task: keras.layers.Dense(1) for task in Y}
    model = MultiTaskModel(encoder, heads)
    model.compile("sgd", loss="mse", jit_compile=False)
    return model


def test_means_of_the_gates_are_written_and_drawn(tmp_path):
    encoder = MMoE(list(Y), keras.layers.Dense(2), num_experts=3)
    logger = GateLogger(tmp_path, X)
    model_of(encoder).fit(X, Y, epochs=2, verbose=0, callbacks=[logger])
    with (tmp_path / "gate_weights.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["epoch"], r["task"]) for r in rows] == [
        *(("1", "a"), ("1", "b"), ("2", "a"), ("2", "b"))
    ]
    # softmax(x W + b), by NumPy.
    kernel, bias = encoder.gate_b.get_weights()
    powers = np.exp(X @ kernel + bias)
    expected = np.mean(powers / powers.sum(axis=1, keepdims=True), axis=0)
    received = [float(rows[3][f"expert_{e}"]) for e in range(3)]
    np.testing.assert_allclose(received, expected, rtol=1e-5)
    assert (tmp_path / "gate_weights.png").stat().st_size > 1000


def test_experts_of_single_tasks_have_columns_of_their_own(tmp_path):
    """A row names what its gate reads; the last level's weights sum to 1."""
    level = Level(keras.layers.Dense(2), {"a": 1, "b": 2}, num_shared=1)
    for residual, own in (
        (False, {"a": ["own_0"], "b": ["own_0", "own_1"]}),
        (True, {t: ["own_a_0", "own_b_0", "own_b_1"] for t in Y}),
    ):
        encoder = PLE(["b", "a"], [level], residual=residual)
        logger = GateLogger(tmp_path, X)
        model_of(encoder).fit(X, Y, verbose=0, callbacks=[logger])
        with (tmp_path / "gate_weights.csv").open() as file:
            rows = list(csv.DictReader(file))
        columns = sorted({name for names in own.values() for name in names})
        assert [*rows[0]] == ["epoch", "task", *columns, "shared_0"]
        weights = encoder.gate_weights(X)
        for row in rows:
            names = [*own[row["task"]], "shared_0"]
            given = {name: row[name] for name in columns if row[name]}
            assert [*given, "shared_0"] == names
            received = [float(row[name]) for name in names]
            expected = np.mean(weights[row["task"]], axis=0)
            np.testing.assert_allclose(received, expected, rtol=1e-5)
            np.testing.assert_allclose(sum(received), 1.0, rtol=1e-5)


def test_an_encoder_without_gates_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"needs an encoder with gates.*Dense"):
        model_of(keras.layers.Dense(2)).fit(
            X, Y, verbose=0, callbacks=[GateLogger(tmp_path, X)]
        )
