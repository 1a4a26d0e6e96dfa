"""Pictures of what weighters did."""

import numpy as np

from keras_mtl.reporting import style


def plot_task_weights(path, weights, tasks, titles):
    """Draws each task's weight over the steps of training, a panel per run.

    Args:
        path: String, the PNG file to write.
        weights: List of `(steps, K)` arrays.
        tasks: List of K strings.
        titles: List of strings, one for each run.
    """
    steps = [np.arange(1, len(run) + 1) for run in weights]
    weights_figure(steps, weights, tasks, titles).savefig(path, dpi=150)


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
    style.legend_below(figure, panels[0], "task")
    return figure
