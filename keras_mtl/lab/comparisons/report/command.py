"""The command `keras-mtl report`."""

from pathlib import Path
from typing import Annotated

import typer

from keras_mtl.checks import need
from keras_mtl.lab.terminal import console


def report(
    folder: Annotated[
        Path, typer.Argument(help="Folder that `compare` wrote to.")
    ],
    methods: Annotated[
        str,
        typer.Option(
            help="Those to show beside the baseline, with commas; all by "
            "default."
        ),
    ] = "",
):
    """Writes a page about a comparison, finished or not.

    In `report/` of the folder: `index.html`, which needs no other file, its
    pictures, and `results.csv`.
    """
    need("report", ("matplotlib", "scipy"), "report")
    from keras_mtl.lab.comparisons.report.page import write_report
    from keras_mtl.lab.comparisons.report.reading import read_comparison

    comparison = read_comparison(folder)
    if chosen := [m.strip() for m in methods.split(",") if m.strip()]:
        comparison = comparison.only(chosen)
    page, sentence = write_report(comparison, folder / "report")
    console.print(sentence, markup=False, soft_wrap=True)
    for trouble in comparison.troubles:
        console.print(
            f"{trouble.kind}: {trouble.name}: {trouble.reason}",
            markup=False,
            soft_wrap=True,
        )
    console.print(f"Written to {page}", markup=False, soft_wrap=True)
