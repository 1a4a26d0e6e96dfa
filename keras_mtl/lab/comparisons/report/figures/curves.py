"""Curves over epochs, a line for each method."""

import numpy as np

from keras_mtl.lab.comparisons.methods import SINGLE_TASK
from keras_mtl.lab.comparisons.report.statistics import on_common_seeds
from keras_mtl.reporting import style

# More lines than that are not told apart: the others are grey.
MOST_NAMED = 12


def mean_curves(runs) -> dict:
    """Returns `{method: (epochs, means)}` over the seeds that all have.

    Args:
        runs: `{method: {seed: (epochs, values)}}`. The mean goes as far as all
            runs of the method do.
    """
    return {
        method: _mean_curve([*by_seed.values()])
        for method, by_seed in on_common_seeds(runs).items()
    }


def _mean_curve(curves):
    length = min(len(epochs) for epochs, _ in curves)
    values = np.mean([values[:length] for _, values in curves], axis=0)
    return curves[0][0][:length], values


def validation_curves(comparison) -> tuple[str, dict]:
    """Returns the label and `{method: (epochs, means)}` of validation.

    The metric is the score's own where it was validated, or else the loss;
    means over tasks and over the seeds that all methods have.

    Args:
        comparison: `Comparison`.
    """
    score = comparison.score
    metric = score.key.removeprefix("test_")
    label = score.axis.replace("test", "validation")
    for form, factor, axis in (
        (f"val_{{}}_{metric}", score.factor, label),
        ("val_{}_loss", 1.0, "validation loss (no unit)"),
    ):
        runs = {}
        for method in comparison.methods:
            for seed, cell in comparison.of_method(method).items():
                mean = cell.mean_history(comparison.tasks, form)
                if mean is not None:
                    curve = np.arange(1, len(mean) + 1), factor * mean
                    runs.setdefault(method, {})[seed] = curve
        if runs:
            return axis, mean_curves(runs)
    return label, {}


def draw_validation(comparison):
    """Draws validation over all epochs, and over the second half.

    Args:
        comparison: `Comparison`.

    Returns:
        A matplotlib figure, or `None` without results.
    """
    label, curves = validation_curves(comparison)
    if not curves:
        return None
    figure, (whole, late) = style.panels(2, 2, 4.8, 3.6)
    numbers = _numbers(curves, comparison)
    for panel, title in ((whole, "all epochs"), (late, "second half")):
        _draw(panel, numbers, curves, late=panel is late)
        panel.set_title(title)
        panel.set_xlabel("epoch")
    whole.set_ylabel(f"mean {label}")
    style.legend_below(figure, whole, _title(numbers, curves), columns=6)
    return figure


def draw_conflicts(comparison):
    """Draws mean cosine and share of negative ones.

    They are means over the seeds that all methods have.

    Args:
        comparison: `Comparison`.

    Returns:
        A matplotlib figure, or `None` without results.
    """
    labels = {
        "mean_cosine": "mean cosine (no unit)",
        "negative_share": "share of negative cosines (no unit)",
    }
    runs = {name: {} for name in labels}
    for method in comparison.methods:
        for seed, cell in comparison.of_method(method).items():
            measured = cell.conflicts
            if method == SINGLE_TASK or not measured:
                continue
            for name in labels if len(measured["epochs"]) else ():
                curve = measured["epochs"], measured[name]
                runs[name].setdefault(method, {})[seed] = curve
    if not runs["mean_cosine"]:
        return None
    figure, panels = style.panels(2, 2, 4.8, 3.6)
    curves = {name: mean_curves(runs[name]) for name in labels}
    numbers = _numbers(curves["mean_cosine"], comparison)
    for panel, (name, label) in zip(panels, labels.items(), strict=True):
        _draw(panel, numbers, curves[name])
        panel.axhline(0.0, color="0.4", linewidth=0.8)
        panel.set_xlabel("epoch")
        panel.set_ylabel(label)
    title = _title(numbers, curves["mean_cosine"])
    style.legend_below(figure, panels[0], title, columns=6)
    return figure


def _numbers(curves, comparison) -> dict:
    """Returns the methods whose lines have a name, and which look.

    All of them, or the baseline and those that lie farthest from it.
    """
    baseline, methods = comparison.baseline, comparison.methods
    if len(curves) <= MOST_NAMED:
        return {method: methods.index(method) for method in curves}
    length = min(len(values) for _, values in curves.values())
    values = {method: curves[method][1][:length] for method in curves}
    middle = values.get(baseline, np.median([*values.values()], axis=0))
    distances = {m: np.mean(np.abs(v - middle)) for m, v in values.items()}
    distances[baseline] = np.inf
    farthest = sorted(distances, key=lambda m: -distances[m])[:MOST_NAMED]
    named = [method for method in curves if method in farthest]
    return {method: number for number, method in enumerate(named)}


def _title(numbers, curves):
    return "method" if len(numbers) == len(curves) else "method (grey: others)"


def _draw(panel, numbers, curves, late=False):
    from matplotlib.ticker import MaxNLocator

    for method, (epochs, values) in curves.items():
        start = len(epochs) // 2 if late else 0
        epochs, values = epochs[start:], values[start:]
        if method in numbers:
            look = style.marked(numbers[method], len(epochs))
            panel.plot(epochs, values, label=method, **look)
        else:
            panel.plot(epochs, values, color="0.8", linewidth=1.0, zorder=1)
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    style.finish(panel)
