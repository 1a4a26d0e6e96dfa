"""Models and data to measure on: shaped like the real ones, but random."""

import functools
import inspect

from keras_mtl.lab.benchmarks.workloads.embedding import embedding
from keras_mtl.lab.benchmarks.workloads.experts import (
    experts,
    mmoe,
    ple,
    ple_heads,
    stacked_experts,
)
from keras_mtl.lab.benchmarks.workloads.mlp import mlp
from keras_mtl.lab.benchmarks.workloads.resnet import resnet
from keras_mtl.lab.benchmarks.workloads.stacked import stacked
from keras_mtl.lab.benchmarks.workloads.text_cnn import text_cnn
from keras_mtl.lab.benchmarks.workloads.three_tasks import SIZES, three_tasks
from keras_mtl.lab.benchmarks.workloads.workload import Workload

WORKLOADS = {
    "mlp": (mlp,),
    "stacked": (stacked,),
    "three_tasks": tuple(
        functools.partial(three_tasks, size) for size in SIZES
    ),
    "resnet": (resnet,),
    "text_cnn": (text_cnn,),
    "embedding": (embedding,),
    "experts": (experts, stacked_experts),
    "mmoe": (mmoe,),
    "ple": (ple,),
    "ple_heads": (ple_heads,),
}


def makers(name, tasks=(), **arguments):
    """Returns functions that make the workloads of a name.

    Args:
        name: Key of `WORKLOADS`.
        tasks: Iterable of integers, numbers of tasks; the workload's own
            number by default.
        **arguments: `batch_size`, `jit_compile`.

    Raises:
        ValueError: If the workload's number of tasks is fixed, and given.
    """
    found = [functools.partial(make, **arguments) for make in WORKLOADS[name]]
    if not tasks:
        return found
    if "num_tasks" not in inspect.signature(found[0]).parameters:
        raise ValueError(
            f"The workload {name!r} has a fixed number of tasks. Leave out "
            f"--tasks. Received: {', '.join(map(str, tasks))}"
        )
    return [
        functools.partial(make, number) for number in tasks for make in found
    ]


__all__ = [
    "SIZES",
    "WORKLOADS",
    "Workload",
    "embedding",
    "experts",
    "makers",
    "mlp",
    "mmoe",
    "ple",
    "ple_heads",
    "resnet",
    "stacked",
    "stacked_experts",
    "text_cnn",
    "three_tasks",
]
