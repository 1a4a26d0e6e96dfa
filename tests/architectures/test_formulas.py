"""Architectures against their formulas in NumPy and float64.

All variables are drawn anew, biases and what starts at 0 too, so that nothing
is right only at the start.
"""

import keras
import numpy as np
import pytest

from keras_mtl.architectures import (
    MTAN,
    CrossStitch,
    MMoE,
    SelectGate,
    SoftmaxGate,
    TaskFiLM,
    TaskLoRA,
)
from tests.architectures.formulas import (
    ORDER,
    PICTURES,
    T,
    X,
    bank_of,
    close,
    dense,
    drawn,
    mixed,
    product,
    select_gate,
    sigmoid,
    softmax_gate,
    values,
)


@pytest.mark.parametrize(
    ("gate", "formula"),
    [
        ("softmax", softmax_gate),
        (
            SoftmaxGate([6, 5], temperature=2.5, dropout=0.4, use_bias=False),
            lambda gate, x: softmax_gate(gate, x, 2.5),
        ),
        (
            SelectGate(3, gamma=0.8),
            lambda gate, x: select_gate(gate, x, 4, 3, 0.8),
        ),
        (
            SelectGate(2, gamma=2.0, per_example=False),
            lambda gate, x: select_gate(gate, x, 4, 2, 2.0),
        ),
    ],
)
def test_mmoe(gate, formula):
    """`r_k = Σ_e g_k(x)_e f_e(x)`, with a layer below both."""
    encoder = drawn(MMoE(T, dense(), 4, gate, bottom=dense(5)))
    x = np.tanh(product(encoder.bottom, X))
    bank, parts = bank_of(encoder.experts, x), encoder(X)
    weights = encoder.gate_weights(X)
    for task in T:
        expected = formula(getattr(encoder, f"gate_{task}"), x)
        close(weights[task], expected)
        close(parts[task], mixed(expected, bank))
    stacked = MMoE(T, dense(), 4, gate, bottom=dense(5))
    stacked.stack()
    stacked(X)
    take_columns(encoder, stacked)
    for number, value in enumerate(np.moveaxis(stacked(X), 1, 0)):
        close(value, parts[T[number]])
        close(stacked.gate_weights(X)[T[number]], weights[T[number]])


def take_columns(encoder, stacked):
    """Gives stacked gates the values of single ones, side by side."""
    for name in ("bottom", "experts"):
        values = getattr(encoder, name).get_weights()
        getattr(stacked, name).set_weights(values)
    for variable in stacked.gates.trainable_variables:
        parts = []
        for task in T:
            layer, name = getattr(encoder, f"gate_{task}"), variable.name
            if name.startswith("hidden"):
                inner, name = name.rsplit("_", 1)
                layer = getattr(layer, inner)
            parts.append(np.array(getattr(layer, name)))
        variable.assign(np.concatenate(parts, axis=-1))


def test_dropped_experts_leave_a_mixture_of_the_others():
    """In training: weights of those that are kept, brought to a sum of 1."""
    gate = SoftmaxGate(dropout=0.5, temperature=0.5)
    encoder = drawn(MMoE(T, dense(), 4, gate))
    bank = bank_of(encoder.experts, X)
    plain = softmax_gate(encoder.gate_like, X, 0.5)
    subsets = [np.array([n >> e & 1 for e in range(4)]) for n in range(1, 16)]
    found = np.array(encoder(X, training=True)["like"])
    for row, representation in enumerate(found):
        distances = []
        for kept in subsets:
            weights = plain[row] * kept / np.sum(plain[row] * kept)
            distances.append(np.abs(weights @ bank[row] - representation))
        assert np.min(np.max(distances, axis=1)) < 2e-5


def test_mmoe_of_pictures():
    """Experts are convolutions; gates read the mean over the pixels."""
    conv = keras.layers.Conv2D(2, 1, activation="tanh")
    encoder = drawn(MMoE(T, conv, 2), PICTURES)
    experts = [encoder.experts.expert_0, encoder.experts.expert_1]
    bank = [
        np.tanh(PICTURES @ of["kernel"][0, 0] + of["bias"])
        for of in map(values, experts)
    ]
    features = PICTURES.astype("float64").mean(axis=(1, 2))
    for task, value in encoder(PICTURES).items():
        weights = softmax_gate(getattr(encoder, f"gate_{task}"), features)
        expected = np.einsum("be,behwu->bhwu", weights, np.stack(bank, 1))
        close(value, expected)


@pytest.mark.parametrize("per_channel", [True, False])
def test_cross_stitch(per_channel):
    """`h_k ← Σ_j α[k, j] h_j`, also after the last block; uneven towers."""
    towers = {t: [dense(), dense(3, "relu")] for t in T}
    towers["like"] = [dense(3, "sigmoid"), dense()]
    encoder = drawn(
        CrossStitch(
            T,
            towers,
            per_channel=per_channel,
            same_task=0.7,
            rate=3.0,
            last=True,
            bottom=dense(5),
        )
    )
    functions = {t: [np.tanh, lambda z: np.maximum(z, 0.0)] for t in T}
    functions["like"] = [sigmoid, np.tanh]
    below = np.tanh(product(encoder.bottom, X))
    features = dict.fromkeys(T, below)
    for number in range(2):
        outputs = [
            functions[task][number](
                product(getattr(encoder, f"block_{number}_{task}"), h)
            )
            for task, h in sorted(features.items())
        ]
        for task in T:
            start = np.where(np.array(ORDER) == task, 0.7, 0.15)
            moves = values(getattr(encoder, f"stitch_{number}_{task}"))["moves"]
            alpha = (start + 3.0 * moves.T).T
            features[task] = sum(
                a * h for a, h in zip(alpha, outputs, strict=True)
            )
    for task, value in encoder(X).items():
        close(value, features[task])


def batch_norm(layer, x, training):
    of = values(layer)
    mean, variance = of["moving_mean"], of["moving_variance"]
    if training:
        mean, variance = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    scaled = (x - mean) / np.sqrt(variance + layer.epsilon)
    return scaled * of["gamma"] + of["beta"]


@pytest.mark.parametrize("training", [False, True])
def test_mtan(training):
    """Masks of two 1 x 1 products with batch-norm, and the shared `f`."""

    def conv(units):
        return keras.layers.Conv2D(units, 1, activation="tanh")

    blocks = [(conv(4), conv(3)), (keras.layers.MaxPooling2D(), conv(5))]
    between = keras.Sequential([conv(2), keras.layers.MaxPooling2D()])
    encoder = drawn(MTAN(T, blocks, [between], hidden=6), PICTURES)

    def convolved(layer, x):
        of = values(layer)
        return np.tanh(x @ of["kernel"][0, 0] + of["bias"])

    def pooled(x):
        return x.reshape(len(x), 2, 2, 2, 2, -1).max(axis=(2, 4))

    x = PICTURES.astype("float64")
    u_0 = convolved(blocks[0][0], x)
    p_0 = convolved(blocks[0][1], u_0)
    u_1 = pooled(p_0)
    p_1 = convolved(blocks[1][1], u_1)
    expected = {}
    for task in T:
        kept = None
        for number, (u, p) in enumerate([(u_0, p_0), (u_1, p_1)]):
            attention = getattr(encoder, f"attention_{number}_{task}")
            seen = u
            if kept is not None:
                f = pooled(convolved(between.layers[0], kept))
                seen = np.concatenate([u, f], axis=-1)
            hidden = product(attention.first, seen)
            hidden = batch_norm(attention.norms[0], hidden, training)
            mask = product(attention.second, np.maximum(hidden, 0.0))
            mask = sigmoid(batch_norm(attention.norms[1], mask, training))
            kept = mask * p
        expected[task] = kept
    for task, value in encoder(PICTURES, training=training).items():
        close(value, expected[task])


def test_adapters():
    """`h (1 + γ) + β`, and `act(h W + b + (α / r) h A B)`."""
    layer = dense(6)
    encoder = drawn(TaskFiLM(T, layer))
    h = np.tanh(product(layer, X))
    for task, value in encoder(X).items():
        of = values(getattr(encoder, f"film_{task}"))
        close(value, h * (1.0 + of["gamma"]) + of["beta"])
    layer = dense(6)
    encoder = drawn(TaskLoRA(T, layer, 5, rank=2, scale=3.0, activation="tanh"))
    h = np.tanh(product(layer, X))
    for task, value in encoder(X).items():
        of = values(getattr(encoder, f"lora_{task}"))
        change = 1.5 * h @ of["a"] @ of["b"]
        close(value, np.tanh(product(encoder.dense, h) + change))
