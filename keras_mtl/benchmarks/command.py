"""The command `keras-mtl bench`."""

import functools
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from keras_mtl.checks import integer


def bench(
    workload: Annotated[
        Literal["mlp", "three_tasks"],
        typer.Option(help="mlp: 2048-2000-100 with K binary heads."),
    ] = "mlp",
    tasks: Annotated[
        str, typer.Option(help="Numbers of tasks of mlp, with commas.")
    ] = "10",
    weighters: Annotated[
        str, typer.Option(help="Names, with commas; all by default.")
    ] = "",
    threads: Annotated[
        int, typer.Option(min=0, help="0: as many as TensorFlow likes.")
    ] = 1,
    batch_size: Annotated[int, typer.Option(min=1)] = 512,
    repetitions: Annotated[int, typer.Option(min=1)] = 20,
    block_seconds: Annotated[
        float, typer.Option(help="Time of a block of uniform steps.")
    ] = 0.25,
    clock: Annotated[
        Literal["wall", "processor"],
        typer.Option(help="processor: for a machine with other work to do."),
    ] = "wall",
    jit: Annotated[
        bool | None,
        typer.Option("--jit/--no-jit", help="XLA; Keras' choice by default."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="JSON file to write.")
    ] = None,
):
    """Times a training step with each weighter, relative to uniform weights.

    The last row is a plain Keras model with the same layers.
    """
    import tensorflow as tf

    from keras_mtl.benchmarks.report import write_json
    from keras_mtl.benchmarks.run import benchmark
    from keras_mtl.weighters import get

    # It takes a new model's first trace for the retracing of another's.
    tf.get_logger().setLevel("ERROR")
    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    names = [name.strip() for name in weighters.split(",") if name.strip()]
    for name in names:
        get(name)
    makers = _makers(workload, tasks, batch_size, jit)
    if out:
        write_json(out, [])
    console, results = Console(), []
    for make in makers:
        with console.status("making the model") as status:
            work = make()
            result = benchmark(
                work.model,
                work.x,
                work.y,
                weighters=names or None,
                batch_size=batch_size,
                repetitions=repetitions,
                block_seconds=block_seconds,
                clock=clock,
                name=work.name,
                progress=status.update,
            )
        console.print(result.table())
        results.append(result)
        if out:
            write_json(out, results)


def _makers(workload, tasks, batch_size, jit):
    """Returns functions that make the workloads."""
    from keras_mtl.benchmarks import workloads

    arguments = {
        "batch_size": batch_size,
        "jit_compile": "auto" if jit is None else jit,
    }
    if workload == "three_tasks":
        return [
            functools.partial(workloads.three_tasks, size, **arguments)
            for size in workloads.SIZES
        ]
    return [
        functools.partial(workloads.mlp, _number(part), **arguments)
        for part in tasks.split(",")
    ]


def _number(part):
    try:
        return integer("tasks", int(part), 1)
    except ValueError as error:
        raise ValueError(
            "--tasks must be whole numbers of at least 1, with commas between "
            f"them. Received: {part!r}"
        ) from error
