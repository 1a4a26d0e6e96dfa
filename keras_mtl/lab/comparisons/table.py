"""The mean score of each method, for the terminal."""

import statistics

from rich.table import Table

from keras_mtl.lab.comparisons.folder import COMPARE


def score_table(folder, cells):
    """Returns a table of the mean scores over the seeds that are done.

    Args:
        folder: `ComparisonFolder`.
        cells: List of `Cell`.
    """
    score = folder.read(COMPARE)["score"]
    unit = f" ({score['unit']})" if score["unit"] else ""
    table = Table(title=f"{score['label'].capitalize()}{unit}")
    table.add_column("method")
    for column in ("mean", "lowest", "highest", "runs"):
        table.add_column(column, justify="right")
    groups = {}
    for cell in cells:
        values = groups.setdefault(cell.group, [])
        value = folder.metric(cell, score["key"])
        if value is not None:
            values.append(score["factor"] * value)
    for group, values in groups.items():
        shown = ["-"] * 3
        if values:
            shown = [statistics.mean(values), min(values), max(values)]
            shown = [f"{value:.4g}" for value in shown]
        table.add_row(group, *shown, str(len(values)))
    return table
