"""PLE, CGC, AdaTT and STEM against their formulas in NumPy and float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.architectures import PLE, Level
from tests.architectures.formulas import (
    ORDER,
    T,
    X,
    bank_of,
    close,
    dense,
    drawn,
    mixed,
    softmax_gate,
    values,
)


def extracted(encoder, own, shared, everything=False, residual=False):
    """Levels of experts as the paper has them.

    Args:
        encoder: `PLE`.
        own: List for each level, dict from task to its number of experts.
        shared: List for each level, its number of shared experts.
        everything: Boolean, whether a task's gate mixes all experts.
        residual: Boolean, whether a task's own are added once more.
    """
    streams = dict.fromkeys([*T, None], X.astype("float64"))
    for number in range(len(own)):

        def layer(role, number=number):
            return getattr(encoder, f"{role}_level_{number}")

        counts = {task: own[number][task] for task in ORDER}
        counts = {**counts, None: shared[number]}
        counts = {task: count for task, count in counts.items() if count}
        if hasattr(encoder, f"experts_level_{number}"):
            ends = np.cumsum([*counts.values()])[:-1]
            parts = np.split(bank_of(layer("experts"), streams[None]), ends, 1)
            banks = dict(zip(counts, parts, strict=True))
        else:
            banks = {
                task: bank_of(
                    layer("shared" if task is None else f"own_{task}"),
                    streams[task],
                )
                for task in counts
            }
        new = {}
        for task in T:
            read = [*banks] if everything else [t for t in (task, None)]
            read = [banks[t] for t in read if t in banks]
            weights = softmax_gate(layer(f"gate_{task}"), streams[task])
            new[task] = mixed(weights, np.concatenate(read, axis=1))
            count = own[number][task]
            if residual and count == 1:
                new[task] = new[task] + banks[task][:, 0]
            elif residual and count:
                skip = values(layer(f"skip_{task}"))["weights"]
                new[task] = new[task] + np.einsum(
                    "e,beu->bu", skip, banks[task]
                )
        if number < len(own) - 1 and shared[number + 1]:
            weights = softmax_gate(layer("shared_gate"), streams[None])
            every = np.concatenate([*banks.values()], axis=1)
            new[None] = mixed(weights, every)
        streams = new
    return streams


OWN = [
    {"click": 1, "click_buy": 2, "like": 0},
    {"click": 2, "click_buy": 1, "like": 1},
    {"click": 0, "click_buy": 3, "like": 1},
]
NO_SHARED = [{task: 1 + (task == "like") for task in T}] * 2


@pytest.mark.parametrize(
    ("own", "shared", "arguments"),
    [
        (OWN, [2, 1, 2], {}),
        (OWN[:1], [1], {}),
        (NO_SHARED, [0, 0], {}),
        (OWN, [2, 1, 2], {"residual": True}),
        (NO_SHARED, [0, 0], {"residual": True}),
        (OWN[:2], [2, 0], {"stop_gradient_others": True}),
        (OWN[1:2], [1], {"residual": True, "stop_gradient_others": True}),
    ],
)
def test_extraction(own, shared, arguments):
    """PLE and CGC; with `residual` AdaTT, with stopped gradients STEM."""
    levels = [
        Level(dense(), counts, number)
        for counts, number in zip(own, shared, strict=True)
    ]
    encoder = drawn(PLE(T, levels, **arguments))
    expected = extracted(
        encoder,
        own,
        shared,
        everything=bool(arguments),
        residual="residual" in arguments,
    )
    for task, value in encoder(X).items():
        close(value, expected[task])


def test_a_stopped_gradient_trains_own_and_shared_experts_alone():
    """Of `Σ r_k`, at experts that the gate of task k reads all of."""
    level = Level(dense(), 1, 1)
    encoder = drawn(PLE(T, [level], stop_gradient_others=True))
    roles = ("own_click", "own_click_buy", "own_like", "shared")
    banks = [getattr(encoder, f"{role}_level_0") for role in roles]
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(encoder(X)["like"])
    kernels = [bank.trainable_variables[0].value for bank in banks]
    found = tape.gradient(total, kernels)
    assert found[:2] == [None, None]
    # Columns: all own experts in alphabetical order, then shared ones.
    gates = softmax_gate(encoder.gate_like_level_0, X)
    for place in (2, 3):
        slopes = 1.0 - bank_of(banks[place], X)[:, 0] ** 2
        close(found[place], X.T @ (gates[:, place, None] * slopes))


@pytest.mark.parametrize(
    ("level", "arguments", "fits"),
    [
        (Level(dense(), 2, 1), {}, True),
        (Level(dense(), {**dict.fromkeys(T, 1), T[0]: 2}, 1), {}, False),
        (Level(keras.layers.Identity(), 1, 1), {}, False),
        (Level(dense(), 2, 1), {"stop_gradient_others": True}, False),
    ],
)
def test_what_products_can_stack(level, arguments, fits):
    """The rest is stacked, too, but one task after the other."""
    encoder, x = PLE(T, [level] * 2, **arguments), X[:, :3]
    assert encoder.can_stack == fits
    apart = encoder(x)
    if not fits:
        encoder.stack()
        for place, task in enumerate(T):
            np.testing.assert_array_equal(encoder(x)[:, place], apart[task])
