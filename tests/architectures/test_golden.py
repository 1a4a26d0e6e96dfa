"""Mixtures of experts against reference values of other implementations.

`golden_architectures.json` has the numbers of LibMTL's own code in float64,
weights included; our layers get these weights.
"""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel
from keras_mtl.architectures import PLE, Level, MMoE, SelectGate
from keras_mtl.gradients import TaskGradients

GOLDEN = json.loads(
    (Path(__file__).parent / "golden_architectures.json").read_text()
)
TASKS = GOLDEN["tasks"]
X = np.array(GOLDEN["x"], "float32")
Y = {t: np.array(v, "float32") for t, v in GOLDEN["labels"].items()}
DENSE = {"units": 3, "activation": "relu"}


def arrays(layer):
    return [np.array(layer["kernel"]), np.array(layer["bias"])]


def set_bank(bank, experts):
    """Gives a stacked bank the kernels of single experts."""
    kernels, biases = zip(*map(arrays, experts), strict=True)
    bank.set_weights([np.concatenate(kernels, axis=1), np.concatenate(biases)])


def model_of(encoder):
    heads = {task: keras.layers.Dense(1, use_bias=False) for task in TASKS}
    model = MultiTaskModel(encoder, heads)
    model.compile("sgd", loss="mse", weighter="pcgrad", jit_compile=False)
    model(X)
    for task, kernel in GOLDEN["head_kernels"].items():
        heads[task].set_weights([np.array(kernel)])
    return model


def check(model, golden, gramian):
    parts = model.encoder(X)
    for task, value in golden["representation"].items():
        np.testing.assert_allclose(parts[task], value, rtol=2e-5, atol=2e-6)
    batch = TaskGradients(model, (X, Y, None), training=False, scope="shared")
    np.testing.assert_allclose(batch.losses, golden["losses"], rtol=2e-5)
    received = np.array(batch.gramian("shared"))
    size = np.abs(golden[gramian]).max()
    np.testing.assert_allclose(received, golden[gramian], atol=2e-5 * size)


def test_mmoe():
    golden = GOLDEN["mmoe"]
    encoder = MMoE(TASKS, keras.layers.Dense(**DENSE), num_experts=4)
    model = model_of(encoder)
    set_bank(encoder.experts, golden["experts"])
    for task, gate in golden["gates"].items():
        getattr(encoder, f"gate_{task}").set_weights(arrays(gate))
    check(model, golden, "gramian_experts")
    for task, weights in encoder.gate_weights(X).items():
        np.testing.assert_allclose(
            weights, golden["gate_weights"][task], rtol=2e-5
        )
    # One product for all tasks gives what each gate gives alone.
    stacked = np.array(encoder.own_all(encoder.shared(X), X))
    for number, task in enumerate(TASKS):
        np.testing.assert_allclose(
            stacked[:, number],
            golden["representation"][task],
            rtol=2e-5,
            atol=2e-6,
        )


def test_cgc_is_one_level_of_ple():
    """Their gates have the shared experts first, ours the task's own."""
    golden = GOLDEN["cgc"]
    own = {task: len(of) for task, of in golden["own_experts"].items()}
    shared = golden["shared_experts"]
    level = Level(keras.layers.Dense(**DENSE), own, len(shared))
    encoder = PLE(TASKS, [level])
    model = model_of(encoder)
    set_bank(encoder.shared_level_0, shared)
    for task, experts in golden["own_experts"].items():
        set_bank(getattr(encoder, f"own_{task}_level_0"), experts)
        kernel, bias = arrays(golden["gates"][task])
        order = [*range(len(shared), len(bias)), *range(len(shared))]
        gate = getattr(encoder, f"gate_{task}_level_0")
        gate.set_weights([kernel[:, order], bias[order]])
    check(model, golden, "gramian_shared_experts")


def test_select_gates_follow_the_formula_row_by_row():
    """The reference has 5 experts; its first 4 codes are those of 2 bits.

    Its selectors over the 8 codes of 3 bits, of which 5 are experts.
    """
    golden = GOLDEN["dselect_k"]
    for task in TASKS:
        gate = SelectGate(golden["num_selectors"], golden["gamma"])
        gate.bind(8)
        gate.build(X.shape)
        z, w = golden["z"][task], golden["w"][task]
        gate.z_kernel.assign(z["kernel"])
        gate.z_bias.assign(z["bias"])
        gate.w_kernel.assign(w["kernel"])
        gate.w_bias.assign(w["bias"])
        selectors = np.array(gate.selectors(X))
        np.testing.assert_allclose(selectors.sum(axis=-1), 1.0, rtol=1e-5)
        np.testing.assert_allclose(
            selectors[..., :5], golden["selectors"][task], atol=2e-6
        )
        np.testing.assert_allclose(
            np.array(gate(X))[:, :5],
            golden["expert_weights"][task],
            rtol=2e-5,
            atol=2e-6,
        )


@pytest.mark.parametrize("number", [1, 3, 6])
def test_select_gates_need_a_power_of_two(number):
    with pytest.raises(ValueError, match=r"must be a power of 2\. Received: "):
        SelectGate().bind(number)
