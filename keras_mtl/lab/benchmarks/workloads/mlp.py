"""Fingerprints of molecules and many yes-or-no assays."""

from keras_mtl.lab.benchmarks.workloads.workload import (
    binary,
    dense,
    fingerprints,
)


def mlp(
    num_tasks=10, batch_size=512, jit_compile="auto", widths=(2048, 2000, 100)
):
    """Returns a workload shaped like PCBA: fingerprints, binary heads.

    Args:
        num_tasks: Integer, K.
        batch_size: Integer, rows.
        jit_compile: Boolean or `"auto"`.
        widths: Tuple of integers: inputs, then units of the dense layers.
    """
    x = fingerprints(batch_size, widths[0])
    tasks = [f"assay_{index}" for index in range(num_tasks)]
    return binary("mlp", dense(widths), x, tasks, jit_compile)
