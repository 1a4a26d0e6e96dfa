"""Architectures against NumPy, and what their papers say of special cases."""

import keras
import numpy as np
import pytest

from keras_mtl.architectures import (
    MTAN,
    PLE,
    CrossStitch,
    Experts,
    Level,
    MMoE,
    SelectGate,
    SoftmaxGate,
    TaskFiLM,
    TaskLoRA,
)

T = ("click", "click_buy", "like")
X = np.random.default_rng(3).normal(size=(7, 4)).astype("float32")


def dense(units=3, activation="tanh", **kwargs):
    return keras.layers.Dense(units, activation, **kwargs)


def close(received, expected):
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-5)


def softmax(z):
    powers = np.exp(z - z.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def test_one_expert_is_a_shared_bottom():
    encoder = MMoE(T, dense(), num_experts=1)
    parts = encoder(X)
    kernel, bias = encoder.experts.get_weights()
    for task in T:
        close(parts[task], np.tanh(X @ kernel + bias))


def test_gates_route_and_the_order_of_experts_is_free():
    encoder = MMoE(T, dense(), num_experts=3)
    encoder(X)
    bank = np.array(encoder.experts(X))
    for number, task in enumerate(T):
        gate = getattr(encoder, f"gate_{task}")
        bias = np.where(np.arange(3) == number, 50.0, 0.0)
        gate.set_weights([np.zeros((4, 3)), bias])
        close(encoder(X)[task], bank[:, number])
    gate = encoder.gate_like
    gate.set_weights([X[:4, :3], X[0, :3]])
    expected, order = np.array(encoder(X)["like"]), [2, 0, 1]
    kernel, bias = encoder.experts.get_weights()
    kernel = kernel.reshape(4, 3, 3)[:, order].reshape(4, 9)
    bias = bias.reshape(3, 3)[order].reshape(9)
    encoder.experts.set_weights([kernel, bias])
    gate.set_weights([w[..., order] for w in gate.get_weights()])
    close(encoder(X)["like"], expected)


def test_deep_experts_are_those_run_one_by_one():
    layers = [dense(5, "relu"), dense(3)]
    bank = Experts(keras.Sequential(layers), 4)
    outputs = np.array(bank(X))
    weights = {w.name: np.array(w) for w in bank.weights}
    for e in range(4):
        first = weights["kernel_0"].reshape(4, 4, 5)[:, e]
        hidden = X @ first + weights["bias_0"].reshape(4, 5)[e]
        hidden = np.maximum(hidden, 0.0) @ weights["kernel_1"][e]
        hidden += weights["bias_1"].reshape(4, 3)[e]
        close(outputs[:, e], np.tanh(hidden))


def test_experts_start_apart_each_as_if_alone():
    """Glorot's bound of one expert: `√(6 / (100 + 16))`, not of the stack."""
    for seed in (None, 3):
        start = keras.initializers.GlorotUniform(seed=seed)
        bank = Experts(dense(16, kernel_initializer=start), 8)
        bank.build((None, 100))
        kernels = np.array(bank.weights[0]).reshape(100, 8, 16)
        bound = np.sqrt(6.0 / 116.0)
        assert 0.95 * bound < np.abs(kernels).max() <= bound
        spread = kernels.std(axis=(0, 2))
        np.testing.assert_allclose(spread, bound / np.sqrt(3.0), rtol=0.1)
        flat = kernels.transpose(1, 0, 2).reshape(8, -1)
        correlations = np.corrcoef(flat) - np.eye(8)
        assert np.abs(correlations).max() < 0.15
    encoder = PLE(T, [Level(dense(kernel_initializer=start), 2, 2)])
    encoder(X)
    kernels = [w for w in encoder.weights if w.name == "kernel_0"]
    columns = np.concatenate(kernels, axis=1).reshape(4, -1, 3)
    first = columns[0, :, 0]
    assert len(np.unique(first)) == len(first) == 8


def test_softmax_gates():
    gate = SoftmaxGate(hidden=[6], temperature=2.0)
    gate.bind(5)
    received = gate(X)
    first, bias, kernel, start = (
        np.array(w)
        for w in (
            *gate.hidden_0.weights,
            gate.kernel,
            gate.bias,
        )
    )
    hidden = np.maximum(X @ first + bias, 0.0)
    close(received, softmax((hidden @ kernel + start) / 2.0))
    gate = SoftmaxGate(dropout=0.5)
    gate.bind(5)
    plain = np.array(gate(X))
    rows = np.concatenate([gate(X, training=True) for _ in range(40)])
    close(rows.sum(axis=1), 1.0)
    dropped = np.mean(rows < 1e-12)
    # Half, less the rows (1 in 32) where the highest draw stays.
    assert dropped == pytest.approx(0.5 - 0.2 / 32.0, abs=0.03)
    close(gate(X), plain)
    kept = rows[:7]
    close(
        kept,
        np.where(kept > 1e-12, plain, 0.0)
        / np.where(kept > 1e-12, plain, 0.0).sum(axis=1, keepdims=True),
    )


def test_selection_that_has_saturated_picks_by_code():
    """Bits ±γ: the expert with that binary code, with its selector's share."""
    gate = SelectGate(2, gamma=0.5, per_example=False)
    gate.bind(8)
    gate.build(X.shape)
    gate.z_bias.assign([1.0, -1.0, 1.0, -1.0, 1.0, 1.0])  # 101 and 011.
    gate.w_bias.assign([np.log(3.0), 0.0])
    expected = np.zeros((7, 8))
    expected[:, 5], expected[:, 3] = 0.75, 0.25
    close(gate(X), expected)


def test_cross_stitch_is_the_formula():
    encoder = CrossStitch(T, [dense(), dense(), dense()], rate=2.0)
    encoder(X)
    rng = np.random.default_rng(1)
    for task in T:
        for number in range(2):
            unit = getattr(encoder, f"stitch_{number}_{task}")
            unit.moves.assign(rng.normal(size=(3, 3)))
    alphas = [np.array(a) for a in encoder.stitches()]
    start = np.where(np.eye(3), 0.9, 0.05)
    places = [sorted(T).index(task) for task in T]
    moves = np.array(encoder.stitch_0_like.moves)[places]
    close(alphas[0][2], start[2][:, None] + 2.0 * moves)
    features = [X] * 3
    for number in range(3):
        features = [
            np.tanh(h @ kernel + bias)
            for task, h in zip(T, features, strict=True)
            for kernel, bias in [
                getattr(encoder, f"block_{number}_{task}").get_weights()
            ]
        ]
        if number < 2:
            alpha = alphas[number]
            features = [
                sum(alpha[k, j] * features[j] for j in range(3))
                for k in range(3)
            ]
    for task, value in zip(T, features, strict=True):
        close(encoder(X)[task], value)


def test_attention_masks_the_trunk():
    """With a second product of 0 every mask is ½; with a large bias, 1."""
    trunk = [(dense(5), dense(3)), (dense(4), dense(3))]
    encoder = MTAN(T, trunk, [dense(2)], normalise=False)
    encoder(X)
    hidden = np.array(trunk[0][1](trunk[0][0](X)))
    passed = np.array(trunk[1][1](trunk[1][0](hidden)))
    for bias, mask in ((0.0, 0.5), (50.0, 1.0)):
        for number in range(2):
            attention = getattr(encoder, f"attention_{number}_click")
            kernel, _ = attention.second.get_weights()
            attention.second.set_weights([0.0 * kernel, bias + 0.0 * kernel[0]])
        close(encoder(X)["click"], mask * passed)
    last = encoder.attention_1_click
    assert last.first.kernel.shape == (4 + 2, 3)


def test_adapters_start_as_the_layer_itself():
    layer = dense()
    encoder = TaskFiLM(T, layer)
    for value in encoder(X).values():
        np.testing.assert_array_equal(value, layer(X))
    encoder = TaskLoRA(T, layer, 5, rank=2, scale=3.0)
    plain = encoder(X)
    kernel, bias = encoder.dense.get_weights()
    close(plain["like"], np.array(layer(X)) @ kernel + bias)
    change = encoder.lora_like
    change.b.assign(np.ones((2, 5)))
    low = np.array(layer(X)) @ np.array(change.a) @ np.ones((2, 5))
    close(encoder(X)["like"], np.array(plain["like"]) + 1.5 * low)
    close(encoder(X)["click"], plain["click"])


@pytest.fixture
def in_float64():
    for dtype in ("float64", "float32"):
        keras.config.set_floatx(dtype)
        keras.config.set_dtype_policy(dtype)
        if dtype == "float64":
            yield


@pytest.mark.parametrize("stacked", [False, True])
def test_adatt_in_double_precision(stacked, in_float64):
    """Gates of 0 weigh all alike, and a task's own expert counts once more."""
    encoder = PLE(T, [Level(dense(), 1, 1)], residual=True)
    if stacked:
        encoder.stack()
    x = X.astype("float64")
    encoder(x)
    for variable in encoder.trainable_variables:
        if "gate" in variable.path:
            variable.assign(np.zeros(variable.shape))
    outputs = encoder(x)
    assert {v.dtype.name for v in keras.tree.flatten(outputs)} == {"float64"}
    for weights in encoder.gate_weights(x).values():
        np.testing.assert_allclose(weights, np.full((7, 4), 0.25), rtol=1e-15)
    if not stacked:
        banks = [*(f"own_{task}" for task in T), "shared"]
        each = [getattr(encoder, f"{bank}_level_0")(x)[:, 0] for bank in banks]
        for task, own in zip(T, map(np.array, each), strict=False):
            expected = sum(map(np.array, each)) / 4.0 + own
            np.testing.assert_allclose(outputs[task], expected, rtol=1e-13)


def test_cross_stitch_in_double_precision(in_float64):
    blocks = [dense(), keras.layers.Identity()]
    encoder, x = CrossStitch(T, blocks, same_task=0.7), X.astype("float64")
    outputs = encoder(x)
    towers = {t: np.array(getattr(encoder, f"block_0_{t}")(x)) for t in T}
    for task, tower in towers.items():
        expected = 0.7 * tower + 0.15 * (sum(towers.values()) - tower)
        np.testing.assert_allclose(outputs[task], expected, rtol=1e-13)
