"""The many assays of `mlp`, with stacked heads."""

import keras
import numpy as np

from keras_mtl.lab.benchmarks.workloads.workload import (
    Workload,
    dense,
    fingerprints,
)
from keras_mtl.layers import StackedHeads
from keras_mtl.model import MultiTaskModel


def stacked(
    num_tasks=128, batch_size=512, jit_compile="auto", widths=(2048, 2000, 100)
):
    """Returns a workload shaped like PCBA, all heads in one product.

    Args:
        num_tasks: Integer, K.
        batch_size: Integer, rows.
        jit_compile: Boolean or `"auto"`.
        widths: Tuple of integers: inputs, then units of the dense layers.
    """
    x = fingerprints(batch_size, widths[0])
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, (batch_size, num_tasks)).astype("float32")
    tasks = [f"assay_{index}" for index in range(num_tasks)]
    model = MultiTaskModel(
        dense(widths), StackedHeads(tasks, activation="sigmoid")
    )
    model.compile(
        keras.optimizers.Adam(3e-4),
        loss="binary_crossentropy",
        jit_compile=jit_compile,
    )
    return Workload("stacked", model, x, y)
