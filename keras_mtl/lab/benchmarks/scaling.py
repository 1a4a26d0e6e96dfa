"""Step times with many replicas, simulated from those of one machine.

Each of R replicas trains on a batch as large as the one that was measured, and
computes as long: the uniform step's time, times the weighter's ratio to it.
Then it sums over the replicas around a ring, one sum after the other, and none
while it computes. A sum sends `2 (R - 1) / R` times its bytes from every
replica, in `2 (R - 1)` rounds. So a step takes

    computing + 2 (R - 1) / R * bytes / bandwidth + sums * 2 (R - 1) * latency

Every step sums the update's gradient; `benchmarks.communication` says what a
weighter adds. Where it reads gradients of variables from shared inputs,
replicas take a backward pass for each task instead of going layer by layer. How
long that takes is not measured: it is the uniform step's time times the ratio
of the operations, for layers that are dense.
"""

import inspect
from typing import NamedTuple

from rich.table import Table

from keras_mtl import weighters
from keras_mtl.lab.benchmarks import workloads
from keras_mtl.lab.benchmarks.communication import BYTES, num_sums
from keras_mtl.lab.benchmarks.declaration import declaration
from keras_mtl.lab.benchmarks.operations import (
    dense_layers,
    operations_by_passes,
    uniform_operations,
)
from keras_mtl.signals import SIGNALS


class Network(NamedTuple):
    """What connects the replicas.

    Args:
        bandwidth: Float, bytes per second that a replica sends.
        latency: Float, seconds that a message takes beyond its bytes.
    """

    bandwidth: float
    latency: float


class Terms(NamedTuple):
    """What a step with a weighter takes.

    Args:
        name: String, the weighter's.
        alone: Float, seconds of a step on one machine.
        computing: Float, seconds that each of several replicas computes.
        bytes: Integer, what each adds to sums over replicas.
        sums: Integer, the number of these sums.
    """

    name: str
    alone: float
    computing: float
    bytes: int
    sums: int


def step_seconds(terms: Terms, replicas: int, network: Network) -> float:
    """Returns the simulated seconds of a step.

    Args:
        terms: `Terms`.
        replicas: Integer, R, at least 1.
        network: `Network`.
    """
    if replicas == 1:
        return terms.alone
    sent = 2 * (replicas - 1) / replicas * terms.bytes
    rounds = 2 * (replicas - 1) * terms.sums
    waiting = sent / network.bandwidth + rounds * network.latency
    return terms.computing + waiting


def measured_terms(result) -> list[Terms]:
    """Returns the terms of each weighter in a benchmark's result.

    Rows of plain Keras and of peers are left out, and those whose computing
    on replicas is not known.

    Args:
        result: Dict, one of `results` in what `keras-mtl bench --out` wrote.

    Raises:
        ValueError: If it is of no workload, whose layers were known.
    """
    rows = result["rows"]
    work = _workload(result)
    separate = work.model.is_separate(work.x)
    layers = dense_layers(work.model, work.x)
    uniform, gradient = rows[0]["step_seconds"], result["num_parameters"]
    found = []
    for row in rows:
        name, alone = row["name"], uniform * row["ratio"]["median"]
        if name not in (*weighters.CATALOGUE, *weighters.ALIASES):
            continue
        declared = declaration(weighters.get(name), not separate)
        computing = alone
        if _goes_layer_by_layer(declared) and not separate:
            if layers is None:
                continue
            passes = operations_by_passes(layers, declared)
            computing = uniform * passes / uniform_operations(layers)
        sums = 1 + num_sums(declared)
        size = BYTES * gradient + row["reduced_bytes"]
        found.append(Terms(name, alone, computing, size, sums))
    return found


def scaling_table(result, replicas, network) -> Table:
    """Returns the simulated step times as a `rich` table.

    Args:
        result: As in `measured_terms`.
        replicas: List of integers.
        network: `Network`.
    """
    table = Table(
        title=f"{result['name']}: {result['num_tasks']} tasks, "
        f"{result['num_parameters']:,} parameters, batch "
        f"{result['batch_size']} on each replica",
        caption="Measured on one machine, simulated for more: "
        f"{8e-9 * network.bandwidth:g} Gbit/s, {1e6 * network.latency:g} µs.",
    )
    table.add_column("weighter")
    titles = ["reduced", "sums", "one machine", "computing"]
    for title in (*titles, *(f"{count:,} replicas" for count in replicas)):
        table.add_column(title, justify="right")
    for terms in measured_terms(result):
        times = [step_seconds(terms, count, network) for count in replicas]
        table.add_row(
            terms.name,
            f"{1e-6 * terms.bytes:,.1f} MB",
            str(terms.sums),
            *map(_milliseconds, (terms.alone, terms.computing, *times)),
        )
    return table


def _workload(result):
    name, arguments = result["name"], {"batch_size": result["batch_size"]}
    if name not in workloads.WORKLOADS:
        raise ValueError(
            "Scaling is simulated from benchmarks of these workloads: "
            f"{list(workloads.WORKLOADS)}. Received: {name!r}"
        )
    make = workloads.WORKLOADS[name][0]
    if "num_tasks" in inspect.signature(make).parameters:
        arguments["num_tasks"] = result["num_tasks"]
    work = make(**arguments)
    work.model(work.x)
    return work


def _goes_layer_by_layer(declared):
    """Whether one machine has cheaper gradients of variables than replicas."""
    at_variables = declared.scope != "representation"
    return at_variables and any(
        "query" not in SIGNALS[name].batches for name in declared.gradients
    )


def _milliseconds(seconds):
    return f"{1e3 * seconds:,.0f} ms"
