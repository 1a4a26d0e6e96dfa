"""Three unlike tasks on one small network."""

import keras
import numpy as np

from keras_mtl.lab.benchmarks.workloads.workload import Workload, dense
from keras_mtl.model import MultiTaskModel

SIZES = {"small": (32, 32), "large": (512, 640)}


def three_tasks(size="small", batch_size=512, jit_compile="auto"):
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
    model = MultiTaskModel(dense((num_inputs, units, units)), heads)
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
