"""Pictures of what weighters did."""

from itertools import combinations

import numpy as np

from keras_mtl.reporting import style


def weights_figure(steps, weights, tasks, titles):
    """Returns a matplotlib figure of the tasks' weights, a panel per run.

    Panels have scales of their own: some weights move by far less than others.

    Args:
        steps: List of `(n,)` arrays, the steps of training.
        weights: List of `(n, K)` arrays, the weights after these.
        tasks: List of K strings.
        titles: List of strings, one for each run.
    """
    figure, panels = style.panels(len(weights), 3, 3.6, 2.6)
    for panel, at, run, title in zip(
        panels, steps, weights, titles, strict=True
    ):
        for index, task in enumerate(tasks):
            panel.plot(at, run[:, index], label=task, **style.look(index))
        style.widen(panel)
        panel.set_title(title)
        style.finish(panel)
    style.label_bottom(panels, "training step (batches)")
    figure.supylabel("task weight (no unit)", fontsize="medium")
    if len(tasks) <= style.MANY_TASKS:
        style.legend_below(figure, panels[0], "task")
    return figure


def training_figure(weights, steps, cosines, tasks, titles):
    """Returns a matplotlib figure: weights above, conflicts below them.

    Args:
        weights: List of `(n, K)` arrays, the weights after each step of a run.
        steps: List of `(m,)` arrays, the steps after which was measured:
        cosines: List of `(m, K (K - 1) / 2)` arrays, cosines of the gradients
            of each pair of tasks, in the order of
            `itertools.combinations(tasks, 2)`.
        tasks: List of K strings.
        titles: List of strings, one for each run.
    """
    count = len(titles)
    figure, panels = style.panels(2 * count, count, 3.6, 2.2)
    taken = [np.arange(1, len(run) + 1) for run in weights]
    pairs = [" and ".join(pair) for pair in combinations(tasks, 2)]
    rows = (
        (panels[:count], taken, weights, tasks, "task", 0),
        (panels[count:], steps, cosines, pairs, "gradients of", len(tasks)),
    )
    for row, at, values, names, title, first in rows:
        for panel, x, run in zip(row, at, values, strict=True):
            for index, name in enumerate(names):
                look = style.look(first + index)
                panel.plot(x, run[:, index], label=name, **look)
            style.finish(panel)
        row[-1].legend(
            title=title,
            loc="center left",
            bbox_to_anchor=(1.02, 0.5),
            frameon=False,
            handlelength=3.0,
        )
    for panel, title in zip(panels, titles, strict=False):
        style.widen(panel)
        panel.set_title(title)
    # The same for all runs, and as far above zero as below it.
    widest = 1.1 * max(0.1, *(np.nanmax(np.abs(run)) for run in cosines))
    for panel in panels[count:]:
        panel.axhline(0.0, color="black", linewidth=0.8)
        panel.set_ylim(-widest, widest)
    panels[0].set_ylabel("task weight")
    panels[count].set_ylabel("cosine")
    style.label_bottom(panels, "training step (batches)")
    return figure
