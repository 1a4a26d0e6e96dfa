"""Pictures of what weighters did."""

import numpy as np

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
# Weights that hardly move are not to look as if they did.
LEAST_SPAN = 0.1
STYLES = ("-", "--", "-.", ":")


def plot_task_weights(path, weights, tasks, titles):
    """Draws each task's weight over the steps of training, a panel per run.

    Panels have scales of their own: some weights move by far less than others.

    Args:
        path: String, the PNG file to write.
        weights: List of `(steps, K)` arrays.
        tasks: List of K strings.
        titles: List of strings, one for each run.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6 * len(weights), 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(weights), squeeze=False)[0]
    for panel, run, title in zip(panels, weights, titles, strict=True):
        steps = np.arange(1, len(run) + 1)
        for index, task in enumerate(tasks):
            panel.plot(
                steps,
                run[:, index],
                label=task,
                color=COLOURS[index % len(COLOURS)],
                linestyle=STYLES[index % len(STYLES)],
                linewidth=1.6,
            )
        _widen(panel)
        panel.set_title(title)
        panel.set_xlabel("training step (batches)")
        panel.grid(alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("task weight (no unit)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        title="task",
        loc="outside lower center",
        ncols=len(tasks),
        frameon=False,
    )
    figure.savefig(path, dpi=150)


def _widen(panel):
    low, high = panel.get_ylim()
    missing = LEAST_SPAN - (high - low)
    if missing > 0:
        panel.set_ylim(low - missing / 2, high + missing / 2)
