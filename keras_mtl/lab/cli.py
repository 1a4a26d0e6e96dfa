"""The command line: what users type becomes arguments of experiments."""

import json
from pathlib import Path
from typing import Annotated

import typer

from keras_mtl.checks import need, one_of
from keras_mtl.lab.benchmarks.command import bench
from keras_mtl.lab.benchmarks.scaling_command import scaling
from keras_mtl.lab.comparisons.command import compare
from keras_mtl.lab.comparisons.report.command import report
from keras_mtl.lab.terminal import (
    DataOption,
    EncoderOption,
    ExperimentArgument,
    GloveOption,
    PresetOption,
    SettingsOption,
    console,
    guarded,
    interruptible,
    parsed_object,
    with_settings,
)

app = typer.Typer(
    help="Multi-task learning for Keras.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def command(function):
    """Registers a command; `list_` becomes `list`."""
    return app.command(function.__name__.rstrip("_"))(guarded(function))


@command
def demo(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path(
        "runs/demo"
    ),
    epochs: Annotated[
        int | None, typer.Option(help="Epochs for each weighter.")
    ] = None,
):
    """Compare three weighters on overlaid digits, and serve the best model."""
    from keras_mtl.lab.experiments import DATA_PACKAGES

    need("demo", DATA_PACKAGES, "data")
    from keras_mtl.lab.experiments.demo import run_demo

    run_demo(out, console, epochs)


@command
def train(
    experiment: ExperimentArgument,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    weighter: Annotated[
        str, typer.Option(help="Name of a weighter; see `list`.")
    ] = "uniform",
    weighter_arguments: Annotated[
        str | None, typer.Option(help="As JSON: '{\"momentum\": 0.9}'.")
    ] = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    query_split: Annotated[
        float | None, typer.Option(help="Share of rows to learn weights from.")
    ] = None,
    seed: int | None = None,
    data: DataOption = None,
    glove: GloveOption = None,
    encoder: EncoderOption = None,
    preset: PresetOption = None,
    settings: SettingsOption = None,
    num_tokens: Annotated[
        int | None, typer.Option(help="Texts: words or tokens that are read.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Local processes that train in step, to try it out."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder.")
    ] = False,
):
    """Train one experiment with one weighter."""
    from keras_mtl.lab.experiments import architectures_of, make_experiment
    from keras_mtl.lab.runs.progress import EpochProgress
    from keras_mtl.lab.runs.running import train as run
    from keras_mtl.lab.runs.workers import train_with_workers

    architectures = architectures_of(experiment, encoder)
    if len(architectures) > 1:
        raise ValueError(
            f"A run has one encoder. Received: {architectures}. Use "
            "`keras-mtl compare` for several."
        )
    given = {
        "weighter": weighter,
        "weighter_arguments": parsed_object(
            "--weighter-arguments", weighter_arguments
        ),
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "query_split": query_split,
        "seed": seed,
        "data": data,
        "glove": glove,
        "encoder": None if architectures else encoder,
        "architecture": architectures[0] if architectures else None,
        "preset": preset,
        "num_tokens": num_tokens,
    }
    given = with_settings(given, settings)
    progress = EpochProgress(weighter, console)
    finished = resume and (out / "metrics.json").exists()
    made = make_experiment(experiment, **given)
    with interruptible(out, "Pass --resume to go on."):
        try:
            if workers is None:
                metrics = run(made, out, resume, [progress])
            else:
                metrics = train_with_workers(workers, made, out, resume)
        finally:
            progress.close()
    if finished:
        console.print("This run is finished; nothing to do.")
    console.print_json(json.dumps(metrics))
    console.print(f"Written to {out}", markup=False, soft_wrap=True)


@command
def figure(
    name: Annotated[
        str,
        typer.Argument(
            help="slaw-norms or slaw-tasks: figures 3 and 2 of SLAW's paper."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of points and picture.")],
    trials: Annotated[
        int, typer.Option(help="Runs, each of which is a point.")
    ] = 120,
    steps: Annotated[int, typer.Option(help="Of the longest run.")] = 1_000,
    settings: SettingsOption = None,
    times: Annotated[
        Path | None,
        typer.Option(help="slaw-tasks: file of bench --tasks ... --out."),
    ] = None,
    comparison: Annotated[
        Path | None,
        typer.Option(help="slaw-tasks: of compare --sweep num_tasks=..."),
    ] = None,
):
    """Draw a figure of a paper; a second call goes on where it was."""
    one_of("name", name, ("slaw-norms", "slaw-tasks"))
    need("figure", ("matplotlib", "scipy"), "report")
    if name == "slaw-tasks":
        from keras_mtl.lab.comparisons import slaw_tasks

        out.mkdir(parents=True, exist_ok=True)
        slaw_tasks.draw(out / slaw_tasks.PICTURE, times, comparison)
        console.print(
            f"Written to {out / slaw_tasks.PICTURE}",
            markup=False,
            soft_wrap=True,
        )
        return
    from keras_mtl.lab.experiments.slaw_norms import run_trials
    from keras_mtl.lab.experiments.slaw_norms_figure import (
        PICTURE,
        caption,
        draw,
    )

    with interruptible(out, "The same command goes on."):
        found = run_trials(
            out, trials, steps, console.print, **with_settings({}, settings)
        )
    draw(found, out / PICTURE)
    console.print(caption(found), markup=False)
    console.print(f"Written to {out / PICTURE}", markup=False, soft_wrap=True)


@command
def list_():
    """List the weighters with their signals, cost and paper."""
    from keras_mtl.lab.listing import catalogue_table

    console.print(catalogue_table())


command(bench)
command(scaling)
command(compare)
command(report)
