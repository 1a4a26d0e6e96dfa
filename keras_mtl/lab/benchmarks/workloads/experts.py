"""Experts that all tasks share, mixed by gates of each, and heads on it."""

import functools

import keras
import numpy as np

from keras_mtl.architectures import PLE, Level, MMoE
from keras_mtl.lab.benchmarks.einsum_row import EinsumRow
from keras_mtl.lab.benchmarks.workloads.workload import (
    Workload,
    binary_labels,
    fingerprints,
)
from keras_mtl.layers import StackedHeads
from keras_mtl.model import MultiTaskModel


def experts(
    num_tasks=8,
    batch_size=256,
    jit_compile="auto",
    widths=(512, 256, 128),
    num_experts=4,
    stacked=False,
    name="experts",
):
    """Returns a workload of `MMoE`.

    Args:
        num_tasks: Integer, K.
        batch_size: Integer, rows.
        jit_compile: Boolean or `"auto"`.
        widths: Tuple of integers: inputs, then units of an expert's layers.
        num_experts: Integer, E.
        stacked: Boolean. Whether gates, mixtures and heads of all tasks are
            one product each.
        name: String, that of the workload.
    """
    num_inputs, *units = widths
    tasks = [f"task_{index}" for index in range(num_tasks)]
    encoder = MMoE(tasks, _dense(units), num_experts)
    sizes = (num_inputs, batch_size, jit_compile)
    if not stacked:
        return _binary(name, encoder, *sizes)
    work = _stacked(name, encoder, *sizes)
    by_hand = EinsumRow(
        num_experts, tuple(units), work.x, work.y, work.model.jit_compile
    )
    return work._replace(by_hand={"keras einsum": by_hand})


stacked_experts = functools.partial(
    experts, stacked=True, name="stacked_experts"
)
mmoe = functools.partial(
    experts, widths=(256, 128), num_experts=8, stacked=True, name="mmoe"
)


def ple(
    num_tasks=8,
    batch_size=256,
    jit_compile="auto",
    widths=(256, 128),
    num_experts=8,
    stacked=True,
    name="ple",
):
    """Returns a workload of two levels of `PLE`, a task's own expert in each.

    Args:
        num_tasks: Integer, K.
        batch_size: Integer, rows.
        jit_compile: Boolean or `"auto"`.
        widths: Tuple of integers: inputs, then units of an expert's layers.
        num_experts: Integer, those that a task's gate mixes: one of its own,
            the others shared.
        stacked: Boolean. Whether experts, gates and heads of all tasks are one
            product each.
        name: String, that of the workload.
    """
    num_inputs, *units = widths
    tasks = [f"task_{index}" for index in range(num_tasks)]
    level = Level(_dense(units), num_own=1, num_shared=num_experts - 1)
    encoder = PLE(tasks, [level, level])
    make = _stacked if stacked else _binary
    return make(name, encoder, num_inputs, batch_size, jit_compile)


ple_heads = functools.partial(ple, stacked=False, name="ple_heads")


def _dense(units):
    return keras.Sequential([keras.layers.Dense(u, "relu") for u in units])


def _binary(name, encoder, num_inputs, batch_size, jit_compile):
    tasks = encoder.task_names
    heads = {t: keras.layers.Dense(1, "sigmoid", name=t) for t in tasks}
    model = _compiled(encoder, heads, jit_compile)
    x = fingerprints(batch_size, num_inputs)
    return Workload(name, model, x, binary_labels(tasks, batch_size))


def _stacked(name, encoder, num_inputs, batch_size, jit_compile):
    tasks = encoder.task_names
    heads = StackedHeads(tasks, activation="sigmoid")
    model = _compiled(encoder, heads, jit_compile)
    x = fingerprints(batch_size, num_inputs)
    y = np.concatenate([*binary_labels(tasks, batch_size).values()], axis=1)
    return Workload(name, model, x, y)


def _compiled(encoder, heads, jit_compile):
    model = MultiTaskModel(encoder, heads)
    model.compile(
        keras.optimizers.Adam(3e-4),
        loss="binary_crossentropy",
        jit_compile=jit_compile,
    )
    return model
