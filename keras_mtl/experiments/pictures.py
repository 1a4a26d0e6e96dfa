"""Pictures of what weighters did."""

import numpy as np

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
STYLES = ("-", "--", "-.", ":")


def plot_task_weights(path, weights, tasks, titles):
    """Draws each task's weight over the steps of training, a panel per run.

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
    panels = figure.subplots(1, len(weights), sharey=True, squeeze=False)[0]
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
