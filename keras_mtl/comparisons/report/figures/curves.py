"""Curves over epochs, a line for each method."""

import numpy as np

from keras_mtl import style
from keras_mtl.comparisons.methods import SINGLE_TASK


def mean_curve(curves):
    """Returns epochs and the mean over runs, as far as all of them go.

    Args:
        curves: List of pairs of `(epochs,)` arrays.
    """
    length = min(len(epochs) for epochs, _ in curves)
    values = np.mean([values[:length] for _, values in curves], axis=0)
    return curves[0][0][:length], values


def validation_curves(comparison) -> tuple[str, dict]:
    """Returns the label and `{method: (epochs, means)}` of validation.

    The metric is the score's own where it was validated, or else the loss;
    means over tasks and seeds.

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
        found = {}
        for method in comparison.methods:
            cells = comparison.of_method(method).values()
            means = [c.mean_history(comparison.tasks, form) for c in cells]
            curves = [
                (np.arange(1, len(mean) + 1), factor * mean)
                for mean in means
                if mean is not None
            ]
            if curves:
                found[method] = mean_curve(curves)
        if found:
            return axis, found
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
    for panel, title in ((whole, "all epochs"), (late, "second half")):
        _draw(panel, comparison.methods, curves, late=panel is late)
        panel.set_title(title)
        panel.set_xlabel("epoch")
    whole.set_ylabel(f"mean {label}")
    style.legend_below(figure, whole, "method", columns=6)
    return figure


def draw_conflicts(comparison):
    """Draws mean cosine and share of negative ones, means over seeds.

    Args:
        comparison: `Comparison`.

    Returns:
        A matplotlib figure, or `None` without results.
    """
    labels = {
        "mean_cosine": "mean cosine (no unit)",
        "negative_share": "share of negative cosines (no unit)",
    }
    curves = {name: {} for name in labels}
    for method in comparison.methods:
        cells = comparison.of_method(method).values()
        measured = [c.conflicts for c in cells if method != SINGLE_TASK]
        measured = [c for c in measured if c and len(c["epochs"])]
        for name in labels if measured else ():
            pairs = [(run["epochs"], run[name]) for run in measured]
            curves[name][method] = mean_curve(pairs)
    if not curves["mean_cosine"]:
        return None
    figure, panels = style.panels(2, 2, 4.8, 3.6)
    for panel, (name, label) in zip(panels, labels.items(), strict=True):
        _draw(panel, comparison.methods, curves[name])
        panel.axhline(0.0, color="0.4", linewidth=0.8)
        panel.set_xlabel("epoch")
        panel.set_ylabel(label)
    style.legend_below(figure, panels[0], "method", columns=6)
    return figure


def _draw(panel, methods, curves, late=False):
    from matplotlib.ticker import MaxNLocator

    for method, (epochs, values) in curves.items():
        start = len(epochs) // 2 if late else 0
        epochs, values = epochs[start:], values[start:]
        index = methods.index(method)
        panel.plot(
            epochs, values, label=method, **style.marked(index, len(epochs))
        )
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    style.finish(panel)
