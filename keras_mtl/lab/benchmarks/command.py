"""The command `keras-mtl bench`."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from keras_mtl.checks import need
from keras_mtl.lab.terminal import parsed_integers

# Those that are in `keras_mtl.lab.benchmarks.peers`, too.
PEER_WORKLOADS = ("mlp", "mmoe", "ple")


def bench(
    workload: Annotated[
        Literal[
            "mlp",
            "stacked",
            "three_tasks",
            "resnet",
            "text_cnn",
            "embedding",
            "experts",
            "mmoe",
            "ple",
            "ple_heads",
        ],
        typer.Option(help="mlp: 2048-2000-100 with K binary heads."),
    ] = "mlp",
    tasks: Annotated[
        str,
        typer.Option(help="Numbers of tasks, with commas: 2,8,32,128."),
    ] = "",
    weighters: Annotated[
        str, typer.Option(help="Names, with commas, or all.")
    ] = "all",
    threads: Annotated[
        int, typer.Option(min=0, help="0: as many as TensorFlow likes.")
    ] = 1,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Rows; the workload's own by default."),
    ] = None,
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
    memory: Annotated[
        bool,
        typer.Option("--memory", help="Peak memory, a process for each row."),
    ] = False,
    peers: Annotated[
        bool,
        typer.Option(
            "--peers",
            help="Rows of PyTorch and TorchJD; mlp, mmoe, ple, --solvers.",
        ),
    ] = False,
    solvers: Annotated[
        bool,
        typer.Option(
            "--solvers",
            help="No model: from a Gramian to weights, over min_norm_point.",
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="Picture to write: step time over --tasks."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="JSON file to write.")
    ] = None,
):
    """Times a training step with each weighter, relative to uniform weights.

    Beside it stand the operations that the method needs at the least, relative
    to uniform's, where the model is dense. One row is a plain Keras model with
    the same layers.
    """
    import keras
    import tensorflow as tf

    from keras_mtl.lab.benchmarks.report import WIDTH, write_json
    from keras_mtl.lab.benchmarks.run import benchmark
    from keras_mtl.lab.benchmarks.workloads import makers
    from keras_mtl.weighters import get

    # It takes a new model's first trace for the retracing of another's.
    tf.get_logger().setLevel("ERROR")
    if threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    names = [name.strip() for name in weighters.split(",") if name.strip()]
    names = [] if names == ["all"] else names
    for name in names:
        get(name)
    numbers = parsed_integers("--tasks", tasks) if tasks else []
    _check_peers(peers, workload)
    if solvers:
        from keras_mtl.lab.benchmarks.solver_command import bench_solvers

        bench_solvers(numbers, names, repetitions, clock, peers, threads, out)
        return
    _check_plot(plot, numbers)
    arguments = {"jit_compile": "auto" if jit is None else jit}
    if batch_size:
        arguments["batch_size"] = batch_size
    works = makers(workload, numbers, **arguments)
    if out:
        write_json(out, [])
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    results = []
    for make in works:
        with console.status("making the model") as status:
            work = make()
            result = benchmark(
                work.model,
                work.x,
                work.y,
                weighters=names or None,
                batch_size=len(keras.tree.flatten(work.y)[0]),
                repetitions=repetitions,
                block_seconds=block_seconds,
                clock=clock,
                memory=memory,
                peers={
                    **(work.by_hand or {}),
                    **(_peers(work, threads, names) if peers else {}),
                },
                name=work.name,
                progress=status.update,
            )
        console.print(result.table())
        results.append(result)
        if out:
            write_json(out, results)
    if plot:
        from keras_mtl.lab.benchmarks.picture import plot_step_times

        plot_step_times(plot, results)


def _check_peers(peers, workload):
    if not peers:
        return
    if workload not in PEER_WORKLOADS:
        raise ValueError(
            f"--peers has rows for the workloads {', '.join(PEER_WORKLOADS)} "
            f"only. Leave it out. Received: --workload {workload}"
        )
    need("--peers", ("torch", "torchjd"), "peers")


def _check_plot(plot, numbers):
    if plot is None:
        return
    if len(set(numbers)) < 2:
        raise ValueError(
            "--plot draws step time over the number of tasks and needs two "
            "numbers or more: --tasks 2,8,32,128. Received: "
            f"{', '.join(map(str, numbers)) or 'none'}"
        )
    if plot.suffix != ".png":
        raise ValueError(
            f"--plot must name a file that ends in .png. Received: {plot}"
        )
    if not plot.parent.is_dir():
        raise ValueError(
            f"--plot must name a file in a folder that exists. Received: {plot}"
        )
    need("--plot", ("matplotlib",), "report")


def _peers(work, threads, names):
    from keras_mtl.lab.benchmarks.peers import torch_rows

    return torch_rows(work, threads, names)
