"""The command `keras-mtl compare`."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from keras_mtl.lab.terminal import (
    DataOption,
    EncoderOption,
    ExperimentArgument,
    GloveOption,
    PresetOption,
    SettingsOption,
    console,
    interruptible,
    with_settings,
)


def compare(
    experiment: ExperimentArgument,
    out: Annotated[Path, typer.Option(help="Folder of the comparison.")],
    methods: Annotated[
        str, typer.Option(help="Names, with commas, or all.")
    ] = "",
    seeds: Annotated[int, typer.Option(help="Runs of each method.")] = 1,
    epochs: Annotated[int | None, typer.Option(help="Epochs of a run.")] = None,
    data: DataOption = None,
    glove: GloveOption = None,
    encoder: EncoderOption = None,
    preset: PresetOption = None,
    settings: SettingsOption = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            help="query_split=0.05,0.1, step_size=0.1,0.5 or num_tasks=32,64"
        ),
    ] = None,
    search: Annotated[
        bool,
        typer.Option(
            "--search", help="Choose learning rates on validation rows first."
        ),
    ] = False,
    jobs: Annotated[int, typer.Option(help="Runs at a time.")] = 1,
    threads: Annotated[
        int | None, typer.Option(help="Threads of a run; all cores shared.")
    ] = None,
):
    """Run methods with several seeds; a second call goes on where it was."""
    from keras_mtl.lab.comparisons.comparing import compare as run
    from keras_mtl.lab.comparisons.table import score_table
    from keras_mtl.lab.experiments import architectures_of

    architectures = architectures_of(experiment, encoder)
    given = {
        "epochs": epochs,
        "data": data,
        "glove": glove,
        "encoder": None if architectures else encoder,
        "preset": preset,
    }
    given = with_settings(given, settings)
    names = [name for name in methods.split(",") if name]
    # So that the runs end with this process.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with interruptible(out, "The same command goes on."):
            folder, cells, failed = run(
                experiment,
                names,
                out,
                console,
                seeds,
                given,
                sweep or (),
                search,
                jobs,
                threads,
                architectures,
            )
    finally:
        signal.signal(signal.SIGTERM, before)
    console.print(score_table(folder, cells))
    for name, error in failed.items():
        console.print(f"Failed: {name}: {error}", markup=False)
    console.print(
        f"Written to {out}. Draw it: keras-mtl report {out}",
        markup=False,
        soft_wrap=True,
    )
    if failed:
        raise typer.Exit(1)
