"""A large table of embeddings, of which a batch reads a few rows."""

import keras
import numpy as np
from keras import layers

from keras_mtl.lab.benchmarks.workloads.workload import binary


def embedding(
    num_tasks=8,
    batch_size=512,
    jit_compile="auto",
    num_rows=200_000,
    dim=64,
    num_ids=20,
):
    """Returns a workload shaped like recommendation.

    Args:
        num_tasks: Integer, K.
        batch_size: Integer, rows.
        jit_compile: Boolean or `"auto"`.
        num_rows: Integer, rows of the table.
        dim: Integer, length of a row.
        num_ids: Integer, rows of the table that an example reads.
    """
    ids = keras.Input((num_ids,), dtype="int32", name="ids")
    pooled = layers.GlobalAveragePooling1D()(
        layers.Embedding(num_rows, dim)(ids)
    )
    encoder = keras.Model(ids, layers.Dense(128, "relu")(pooled))
    rng = np.random.default_rng(0)
    x = rng.integers(0, num_rows, (batch_size, num_ids), "int32")
    tasks = [f"action_{index}" for index in range(num_tasks)]
    return binary("embedding", encoder, x, tasks, jit_compile)
