"""Layers and gates in NumPy and float64, of an encoder's own values."""

import keras
import numpy as np

T = ("click", "click_buy", "like")
ORDER = sorted(T)
X = np.random.default_rng(3).normal(size=(5, 4)).astype("float32")
PICTURES = np.random.default_rng(4).normal(size=(2, 4, 4, 3)).astype("float32")


def dense(units=3, activation="tanh"):
    return keras.layers.Dense(units, activation)


def drawn(encoder, inputs=X, seed=0):
    """Returns the encoder with other values, and a reader of them."""
    encoder(inputs)
    rng = np.random.default_rng(seed)
    for variable in encoder.variables:
        if variable.name == "moving_variance":
            variable.assign(rng.uniform(0.5, 2.0, variable.shape))
        elif "seed" not in variable.path:
            variable.assign(rng.normal(0.0, 0.7, variable.shape))
    return encoder


def values(layer):
    """Returns a layer's variables, in float64 by name."""
    return {w.name: np.array(w, "float64") for w in layer.weights}


def product(layer, x):
    """Returns what a dense layer, or one kernel, makes of its inputs."""
    of = values(layer)
    return x @ of["kernel"] + of["bias"]


def softmax(z):
    powers = np.exp(z - z.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def bank_of(bank, x, units=3):
    """Returns `(B, E, U)` of experts of one layer and tanh."""
    of = values(bank)
    outputs = np.tanh(x @ of["kernel_0"] + of["bias_0"])
    return outputs.reshape(len(x), -1, units)


def softmax_gate(gate, x, temperature=1.0):
    for number in range(len(gate.hidden)):
        layer = getattr(gate, f"hidden_{number}")
        x = np.maximum(product(layer, x), 0.0)
    logits = x @ np.array(gate.kernel, "float64")
    if gate.bias is not None:
        logits = logits + np.array(gate.bias, "float64")
    return softmax(logits / temperature)


def select_gate(gate, x, num_experts, num_selected, gamma):
    """Selectors bit by bit, in loops: `Σ_s softmax(w)_s Π_b ...`."""
    of = values(gate)
    bits = int(np.log2(num_experts))
    found = np.zeros((len(x), num_experts))
    for row, features in enumerate(x):
        z, w = of["z_bias"], of["w_bias"]
        if "z_kernel" in of:
            z = z + features @ of["z_kernel"]
            w = w + features @ of["w_kernel"]
        shares = softmax(w)
        for s in range(num_selected):
            for expert in range(num_experts):
                picked = 1.0
                for b, code in enumerate(f"{expert:0{bits}b}"):
                    t = z[s * bits + b]
                    step = -2.0 * t**3 / gamma**3 + 1.5 * t / gamma + 0.5
                    step = 0.0 if t <= -gamma / 2 else step
                    step = 1.0 if t >= gamma / 2 else step
                    picked *= step if code == "1" else 1.0 - step
                found[row, expert] += shares[s] * picked
    return found


def mixed(weights, bank):
    return np.einsum("be,beu->bu", weights, bank)


def close(received, expected):
    np.testing.assert_allclose(received, expected, rtol=2e-5, atol=2e-5)
