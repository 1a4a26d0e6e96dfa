"""The tables of the page, and the one for other programs."""

import csv
import math

from keras_mtl.lab.comparisons.report import html
from keras_mtl.lab.comparisons.report.gaps import gaps
from keras_mtl.lab.comparisons.report.statistics import t_interval
from keras_mtl.lab.comparisons.report.summary import with_interval
from keras_mtl.reporting.style import MANY_TASKS


def summary_table(comparison, summaries) -> str:
    """Returns what each method reached on average, and what it costs."""
    score, base = comparison.score, comparison.baseline
    digits = comparison.digits
    arrow = "higher" if score.higher_is_better else "lower"
    header = [
        "method",
        "seeds",
        f"{score.averaged}{_unit(score.unit)}, {arrow} is better",
        f"paired difference to {base}{_unit(score.difference_unit)}",
        "Δm against single-task (%)",
        f"Δm against {base} (%)",
        f"time of a step / {base}'s",
        f"processor time of a step / {base}'s",
    ]
    rows = [
        [
            row.method,
            str(row.average.count),
            with_interval(row.average, digits=digits),
            _difference(row.difference, row.average.count, digits),
            _difference(row.delta_m, row.average.count),
            _difference(row.change, row.average.count),
            _cost(row.cost),
            _cost(row.processor_cost),
        ]
        for row in summaries
    ]
    return html.table(header, rows)


def task_table(comparison, summaries) -> str:
    """Returns the score of each task, unless there are many."""
    if len(comparison.tasks) > MANY_TASKS:
        return ""
    return _by_task(
        comparison,
        [(row.method, row.average, row.by_task) for row in summaries],
        with_interval,
    )


def metric_table(comparison) -> str:
    """Returns every metric of every task, where they are not all of a kind."""
    if not comparison.cells:
        return ""
    columns = [
        (task, name)
        for task, of in comparison.cells[0].scores.items()
        for name in of
    ]
    if len({name for _, name in columns}) < 2:
        return ""
    constants = {n: s for c in comparison.cells for n, s in c.constants.items()}
    rows = [
        [f"{constant} (no model)"]
        + [_plain(scores[task].get(name, math.nan)) for task, name in columns]
        for constant, scores in constants.items()
    ]
    for method in comparison.methods:
        cells = comparison.of_method(method).values()
        if not cells:
            continue
        values = [
            t_interval(cell.scores[task].get(name, math.nan) for cell in cells)
            for task, name in columns
        ]
        shown = [with_interval(interval, digits=4) for interval in values]
        rows.append([method, *shown])
    return html.table(["method", *(f"{t} {n}" for t, n in columns)], rows)


def difference_table(comparison, summaries) -> str:
    """Returns the paired differences to the baseline by task, of a few."""
    if len(comparison.tasks) > MANY_TASKS:
        return ""
    rows = [
        (row.method, row.difference, row.difference_by_task)
        for row in summaries
        if row.difference.count
    ]
    return _by_task(comparison, rows, _difference) if rows else ""


def _by_task(comparison, rows, shown):
    """Returns a table of `(method, average, {task: interval})`."""
    digits = comparison.digits
    cells = [
        [
            method,
            shown(average, digits=digits),
            *(shown(by_task[task], digits=digits) for task in comparison.tasks),
        ]
        for method, average, by_task in rows
    ]
    return html.table(["method", "average", *comparison.tasks], cells)


def gap_table(comparison) -> str:
    """Returns how well training and query losses stand for the test's."""
    rows = []
    for measure, name in (("error", "0-1 loss"), ("loss", "loss")):
        for gap in gaps(comparison, measure):
            within = "–" if gap.within is None else f"{100 * gap.within:.0f} %"
            rows.append(
                [
                    f"{name}, epoch {gap.epoch}",
                    f"{gap.query:.4f}",
                    f"{gap.training:.4f}",
                    within,
                ]
            )
    header = [
        "loss",
        "mean |query − test|",
        "mean |training − test|",
        "query within Theorem 3's bound",
    ]
    return html.table(header, rows) if rows else ""


def trouble_table(comparison) -> str:
    """Returns the runs without results, and why."""
    if not comparison.troubles:
        return ""
    rows = [[t.name, t.kind, (t.reason, "wide")] for t in comparison.troubles]
    return html.table(["run", "state", ("reason", "wide")], rows)


def write_results(path, comparison):
    """Writes a CSV file with a row for each method, seed and task.

    Scores are as the cells have them, without the score's factor. The column
    `sweep` is empty outside sweeps.

    Args:
        path: Path.
        comparison: `Comparison`.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        key = comparison.score.key
        writer.writerow(["method", "sweep", "seed", "task", key])
        for cell in comparison.cells:
            sweep = ";".join(f"{n}={value}" for n, value in cell.sweep.items())
            for task, score in cell.by_task.items():
                value = repr(score)
                writer.writerow([cell.method, sweep, cell.seed, task, value])


def _difference(interval, seeds=None, digits=2):
    """Returns a cell, marked where the interval leaves out 0.

    It says how many seeds it has, where these are not all of `seeds`.
    """
    text = with_interval(interval, True, digits)
    if seeds is not None and 0 < interval.count < seeds:
        text += f" ({interval.count} of {seeds} seeds)"
    return (text, "apart") if interval.excludes_zero else text


def _plain(value):
    return with_interval(t_interval([value]), digits=4)


def _cost(ratio):
    return "not comparable" if math.isnan(ratio) else f"{ratio:.2f}"


def _unit(unit):
    return f" ({unit})" if unit else ""
