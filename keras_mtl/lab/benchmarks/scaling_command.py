"""The command `keras-mtl scaling`."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from keras_mtl.checks import above, at_least
from keras_mtl.lab.terminal import parsed_integers


def scaling(
    measured: Annotated[
        Path, typer.Argument(help="What `keras-mtl bench --out` wrote.")
    ],
    replicas: Annotated[
        str, typer.Option(help="Numbers of replicas, with commas.")
    ] = "8,64,1000",
    gigabits: Annotated[
        float, typer.Option(help="What a replica sends in a second.")
    ] = 100.0,
    microseconds: Annotated[
        float, typer.Option(help="Latency of a message.")
    ] = 10.0,
):
    """Simulates step times of many replicas from a benchmark of one machine.

    Each replica computes on a batch as large as the measured one, and then
    sums over the others around a ring.
    """
    from keras_mtl.lab.benchmarks.report import WIDTH
    from keras_mtl.lab.benchmarks.scaling import Network, scaling_table

    numbers = parsed_integers("--replicas", replicas)
    network = Network(
        bandwidth=above("gigabits", gigabits, 0.0) * 1e9 / 8,
        latency=at_least("microseconds", microseconds, 0.0) * 1e-6,
    )
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    for result in _results(measured):
        console.print(scaling_table(result, numbers, network))


def _results(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))["results"]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            "keras-mtl scaling needs the file that `keras-mtl bench --out` "
            f"writes. Received: {path}"
        ) from error
