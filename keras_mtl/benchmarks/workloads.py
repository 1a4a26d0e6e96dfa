"""Models and data to measure on: shaped like the real ones, but random."""

from typing import NamedTuple

import keras
import numpy as np

from keras_mtl.model import MultiTaskModel

SIZES = {"small": (32, 32), "large": (512, 640)}


class Workload(NamedTuple):
    """A compiled model, and a batch for it.

    Args:
        name: String.
        model: Compiled `MultiTaskModel`.
        x: Array of inputs.
        y: Dict from task name to labels.
    """

    name: str
    model: MultiTaskModel
    x: np.ndarray
    y: dict[str, np.ndarray]


def mlp(num_tasks, batch_size, jit_compile="auto", widths=(2048, 2000, 100)):
    """Returns a workload shaped like PCBA: fingerprints, binary heads.

    Args:
        num_tasks: Integer, K.
        batch_size: Integer, rows.
        jit_compile: Boolean or `"auto"`.
        widths: Tuple of integers: inputs, then units of the dense layers.
    """
    rng = np.random.default_rng(0)
    # ECFP fingerprints set a few bits in a hundred.
    x = (rng.random((batch_size, widths[0])) < 0.03).astype("float32")
    names = [f"assay_{index}" for index in range(num_tasks)]
    heads = {n: keras.layers.Dense(1, "sigmoid", name=n) for n in names}
    model = MultiTaskModel(_dense(widths), heads)
    model.compile(
        keras.optimizers.Adam(3e-4),
        loss=dict.fromkeys(names, "binary_crossentropy"),
        jit_compile=jit_compile,
    )
    y = {
        n: rng.integers(0, 2, (batch_size, 1)).astype("float32") for n in names
    }
    return Workload("mlp", model, x, y)


def three_tasks(size, batch_size, jit_compile="auto"):
    """Returns a workload of a class, a number and a flag to predict.

    Args:
        size: `"small"` (about 1 ms a step at batch 512, on one thread) or
            `"large"` (more than 15 ms).
        batch_size: Integer, rows.
        jit_compile: Boolean or `"auto"`.
    """
    num_inputs, units = SIZES[size]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(batch_size, num_inputs)).astype("float32")
    heads = {
        "class": keras.layers.Dense(10, "softmax", name="class"),
        "number": keras.layers.Dense(1, name="number"),
        "flag": keras.layers.Dense(1, "sigmoid", name="flag"),
    }
    model = MultiTaskModel(_dense((num_inputs, units, units)), heads)
    model.compile(
        keras.optimizers.Adam(3e-4),
        loss={
            "class": "sparse_categorical_crossentropy",
            "number": "mean_squared_error",
            "flag": "binary_crossentropy",
        },
        jit_compile=jit_compile,
    )
    y = {
        "class": rng.integers(0, 10, (batch_size, 1)),
        "number": rng.normal(size=(batch_size, 1)).astype("float32"),
        "flag": rng.integers(0, 2, (batch_size, 1)).astype("float32"),
    }
    return Workload(f"three_tasks {size}", model, x, y)


def _dense(widths):
    num_inputs, *units = widths
    inputs = outputs = keras.Input((num_inputs,), name="x")
    for width in units:
        outputs = keras.layers.Dense(width, "relu")(outputs)
    return keras.Model(inputs, outputs)
