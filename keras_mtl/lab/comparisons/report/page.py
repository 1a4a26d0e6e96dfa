"""The page of a comparison, and the pictures in it."""

import io
import json
from pathlib import Path

from keras_mtl.lab.comparisons.report import figures, html, tables, warnings
from keras_mtl.lab.comparisons.report.figures.curves import validation_curves
from keras_mtl.lab.comparisons.report.gaps import gaps
from keras_mtl.lab.comparisons.report.summary import (
    summarise,
    verdict,
    with_interval,
)

# Inches of a picture become so many pixels, in the file and on the page.
FILE_DPI, PAGE_DPI = 130, 88
LOSSES = "Training, query and test loss"
PICTURES = (
    (
        "Scores of each task",
        "clusters",
        figures.draw_clusters,
        "A point for each seed, a bar at their mean; dashed: the mean of the "
        "baseline on the same seeds. Panels have scales of their own; a mean "
        "beside an arrow lies beyond.",
    ),
    (
        "Swept parameters",
        "sweeps",
        figures.draw_sweeps,
        "Means over the seeds that all values have, with 95 % t-intervals; "
        "dots are single seeds.",
    ),
    (
        LOSSES,
        "errors",
        figures.draw_errors,
        "0-1 loss of each task, means over seeds. The theorem's bound holds "
        "for a loss in [0, 1], task by task with probability 0.95, where the "
        "query rows taught neither parameters nor weights.",
    ),
    (
        LOSSES,
        "losses",
        figures.draw_losses,
        "The loss that is trained on, in classification the cross entropy. It "
        "has no upper limit, and the bound does not hold for it.",
    ),
    (
        "Task weights",
        "weights",
        figures.draw_weights,
        "One run of each method. Panels have scales of their own.",
    ),
    (
        "Conflicts between the tasks",
        "conflicts",
        figures.draw_conflicts,
        "Gradients over the shared variables on one fixed batch: the cosine of "
        "all pairs of tasks, means over the seeds that all methods have.",
    ),
    (
        "Validation over the epochs",
        "validation",
        figures.draw_validation,
        "Means over tasks and the seeds that all methods have. A curve that "
        "still rises says that more epochs would help.",
    ),
)


def write_report(comparison, folder) -> tuple[Path, str]:
    """Writes `index.html`, its pictures and `results.csv`.

    Args:
        comparison: `Comparison`.
        folder: Path; made if it is missing.

    Returns:
        The path of the page, and a sentence that says which methods differ
        from the baseline.
    """
    import matplotlib

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tables.write_results(folder / "results.csv", comparison)
    summaries = summarise(comparison)
    sentence = verdict(comparison, summaries)
    title = f"Comparison of task weighters: {comparison.experiment}"
    parts = [
        html.element("h1", title),
        html.element("p", sentence, "verdict"),
        *_origin(comparison),
        *_results(comparison, summaries),
        *_cautions(comparison),
    ]
    for heading, name, draw, caption in PICTURES:
        path = folder / f"{name}.png"
        path.unlink(missing_ok=True)
        # Names of tasks may have a dollar sign.
        with matplotlib.rc_context({"text.parse_math": False}):
            figure = draw(comparison)
        if figure is None:
            continue
        if html.element("h2", heading) not in parts:
            parts.append(html.element("h2", heading))
            parts += _gaps(comparison) if heading == LOSSES else []
        if name == "validation":
            caption += f" {flatness(comparison)}"
        png = _png(figure)
        path.write_bytes(png)
        width = round(PAGE_DPI * figure.get_figwidth())
        parts.append(html.picture(png, width, heading, caption))
    parts += _predictions(comparison)
    page = folder / "index.html"
    page.write_text(html.page(title, parts), "utf-8")
    return page, sentence


def gap_sentence(comparison) -> str:
    """Returns a sentence: which loss stood nearer to the test's in the end."""
    name, found = "0-1 loss", gaps(comparison, "error")
    if not found:
        name, found = "loss", gaps(comparison, "loss")
    last = found[-1]
    runs = "1 seed" if last.nearer.count == 1 else f"{last.nearer.count} seeds"
    by = with_interval(last.nearer, signed=True, digits=4)
    return (
        f"{last.method}, {runs}: after epoch {last.epoch} query and test loss "
        f"differ by {last.query:.4f} on average over tasks, training and test "
        f"loss by {last.training:.4f}. The query loss is nearer by {by} "
        f"({name}; 95 % t-interval over seeds)."
    )


def flatness(comparison) -> str:
    """Returns a sentence: how far validation moved at the end.

    Args:
        comparison: `Comparison`.
    """
    moves = []
    for method, (_, values) in validation_curves(comparison)[1].items():
        fifth = len(values) // 5
        if fifth:
            late, before = values[-fifth:], values[-2 * fifth : -fifth]
            move = f"{late.mean() - before.mean():+.2f}".replace("-", "−")
            moves.append(f"{method} {move}")
    if not moves:
        return ""
    return (
        "The last fifth of the epochs against the fifth before it: "
        f"{', '.join(moves)}."
    )


def _results(comparison, summaries):
    if not summaries:
        return [html.element("p", "No run is finished yet.")]
    note = (
        "Mean ± half of the 95 % t-interval over seeds. Differences are taken "
        "seed by seed; bold where the interval leaves out 0. Intervals are not "
        "corrected for the number of comparisons: of twenty methods that do "
        "not differ, one is expected outside."
    )
    if max(row.average.count for row in summaries) < 2:
        note = "One seed only: there is no interval, and chance is not known."
    parts = [
        html.element("h2", "Results"),
        html.element("p", note, "note"),
        tables.summary_table(comparison, summaries),
    ]
    by_task = tables.task_table(comparison, summaries)
    if by_task:
        heading = f"By task: {comparison.score.axis}"
        parts += [html.element("h3", heading), by_task]
    metrics = tables.metric_table(comparison)
    if metrics:
        parts += [html.element("h3", "Every metric of every task"), metrics]
    differences = tables.difference_table(comparison, summaries)
    if differences:
        base = f"{comparison.baseline}{_in(comparison.score.difference_unit)}"
        heading = f"By task: paired difference to {base}"
        parts += [html.element("h3", heading), differences]
    return parts


def _cautions(comparison):
    lines = [
        *warnings.worse_than_single(comparison),
        *warnings.starved_tasks(comparison),
        *warnings.mixed_conditions(comparison),
    ]
    parts = []
    if lines:
        parts.append(html.element("h2", "Warnings"))
        parts.append(html.bullets(lines, "warnings"))
    if comparison.troubles:
        parts.append(html.element("h2", "Runs without results"))
        parts.append(tables.trouble_table(comparison))
    return parts


def _gaps(comparison):
    sentence = html.element("p", gap_sentence(comparison))
    return [sentence, tables.gap_table(comparison)]


def _origin(comparison):
    cells = comparison.cells
    seeds = ", ".join(str(seed) for seed in comparison.seeds)
    swept = comparison.sweeps
    facts = {
        "methods": ", ".join(comparison.methods),
        "tasks": ", ".join(comparison.tasks),
        "seeds": seeds,
        "sweeps": json.dumps(swept) if swept else "none",
        "settings": json.dumps(comparison.settings, ensure_ascii=False),
    }
    if cells:
        first = cells[0].facts
        versions = first["versions"].items()
        facts["versions"] = ", ".join(f"{n} {v}" for n, v in versions)
        facts["threads of a run"] = first["threads"]
        facts["runs at a time"] = first["jobs"]
        facts["learning rates"] = _learning_rates(comparison)
        facts["parameters of the first run"] = first["num_parameters"]
    line = (
        f"Experiment {comparison.experiment}: {len(comparison.methods)} "
        f"methods, {len(comparison.tasks)} tasks, seeds {seeds}; {len(cells)} "
        f"finished runs and {len(comparison.troubles)} without results."
    )
    return [
        html.element("p", line),
        html.element("pre", "\n".join(comparison.commands)),
        html.details("Settings and versions", html.facts(facts)),
    ]


def _predictions(comparison):
    """Returns the pictures that runs drew, the baseline's first."""
    if not comparison.pictures:
        return []
    order = dict.fromkeys([comparison.baseline, *comparison.methods])
    tasks = ", ".join(comparison.tasks)
    return [
        html.element("h2", "Predictions"),
        *(
            html.picture(
                png,
                # The header says how wide it is.
                int.from_bytes(png[16:20]),
                f"Predictions of {method}",
                f"{method}: what goes in, then of each task ({tasks}) what is "
                "true and what is predicted.",
            )
            for method in order
            if (png := comparison.pictures.get(method))
        ),
    ]


def _learning_rates(comparison):
    """Returns the learning rates, by method where they differ."""
    rates = {}
    for cell in comparison.cells:
        rate = cell.facts["learning_rate"]
        rates.setdefault(cell.method, {})[str(rate)] = None
    by_method = {method: ", ".join(own) for method, own in rates.items()}
    distinct = {*by_method.values()}
    if len(distinct) == 1:
        return distinct.pop()
    return "; ".join(f"{m} {own}" for m, own in by_method.items())


def _in(unit):
    return f" in {unit}" if unit else ""


def _png(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=FILE_DPI)
    return buffer.getvalue()
