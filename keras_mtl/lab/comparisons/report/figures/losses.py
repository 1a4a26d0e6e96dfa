"""Losses on training, query and test rows, and the bound between two."""

import numpy as np

from keras_mtl.lab.comparisons.report.gaps import (
    SETS,
    chosen_epochs,
    mean_losses,
)
from keras_mtl.reporting import style

AXES = {
    "error": "0-1 loss (no unit)",
    "loss": "loss (nats, if a cross entropy)",
}
HATCHES = {"training": "", "query": "///", "test": "..."}


def draw_errors(comparison):
    """Draws the 0-1 loss of each task, with the bound about the query's.

    Args:
        comparison: `Comparison`.

    Returns:
        A matplotlib figure, or `None` without results.

    Reference:
        - [Mao et al., 2022](https://aclanthology.org/2022.findings-acl.271),
            Figures 1, 6 and 7, and Theorem 3
    """
    return _draw(comparison, "error")


def draw_losses(comparison):
    """Draws the loss of each task that is trained on, as `draw_errors` does.

    It has no upper limit, so that the theorem's bound does not hold for it.

    Args:
        comparison: `Comparison`.
    """
    return _draw(comparison, "loss")


def _draw(comparison, measure):
    found = mean_losses(comparison, measure)
    if found is None:
        return None
    shown = chosen_epochs(found.epochs)
    tasks = comparison.tasks
    width = max(4.0, 1.2 + 0.62 * len(tasks))
    columns = 3 if len(tasks) <= 6 else 1
    figure, panels = style.panels(len(shown), columns, width, 2.7, sharey=True)
    at, bar = np.arange(len(tasks)), 0.26
    for panel, row in zip(panels, shown, strict=True):
        for index, name in enumerate(SETS):
            panel.bar(
                at + (index - 1) * bar,
                found.means[name][row],
                bar,
                label=name,
                color=style.COLOURS[index],
                hatch=HATCHES[name],
                edgecolor="white",
            )
        if found.bounds is not None:
            panel.errorbar(
                at,
                found.means["query"][row],
                yerr=found.bounds,
                fmt="none",
                ecolor="black",
                capsize=3,
                label="query ± bound of Theorem 3 (δ = 0.05)",
            )
        panel.set_ylim(bottom=0.0)
        panel.set_title(f"epoch {found.epochs[row]}, {found.method}")
        turned = {"rotation": 30, "ha": "right"} if len(tasks) > 6 else {}
        panel.set_xticks(at, tasks, **turned)
        style.finish(panel)
        panel.grid(visible=False, axis="x")
    style.label_bottom(panels, "task")
    figure.supylabel(AXES[measure])
    style.legend_below(figure, panels[0], None)
    return figure
