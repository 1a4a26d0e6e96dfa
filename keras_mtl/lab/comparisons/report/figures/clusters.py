"""Scores of every task, method and seed."""

import numpy as np

from keras_mtl.reporting import style

# Seeds are spread over this share of a method's row.
SPREAD = 0.5
# In ranges of the middle half of the methods: farther off is off the scale.
FAR = 5.0


def draw_clusters(comparison):
    """Draws a panel per task: a row per method, a point per seed.

    A bar marks the mean, a dashed line the mean of the baseline on the
    same seeds. Of many tasks there is the average alone. A method that would
    press all others together has its mean written at the edge.

    Args:
        comparison: `Comparison`.

    Returns:
        A matplotlib figure, or `None` without results.

    Reference:
        - [Mao et al., 2022](https://aclanthology.org/2022.findings-acl.271),
            Figures 2, 3, 10 and 11
    """
    methods = [m for m in comparison.methods if comparison.of_method(m)]
    if not methods:
        return None
    several = 1 < len(comparison.tasks) <= style.MANY_TASKS
    tasks = [None, *comparison.tasks] if several else [None]
    height = 0.9 + 0.2 * len(methods)
    figure, panels = style.panels(len(tasks), 4, 2.7, height, sharey=True)
    for panel, task in zip(panels, tasks, strict=True):
        uniform = comparison.scores(comparison.baseline, task)
        drawn = []
        for row, method in enumerate(methods):
            by_seed = comparison.scores(method, task)
            scores = list(by_seed.values())
            drawn.append(scores)
            offsets = SPREAD * (np.arange(len(scores)) + 0.5) / len(scores)
            panel.scatter(
                scores,
                row - SPREAD / 2 + offsets,
                s=18,
                marker=style.MARKERS[row % len(style.MARKERS)],
                facecolors="none",
                edgecolors=style.look(row)["color"],
            )
            panel.plot(
                [np.mean(scores)] * 2,
                [row - 0.4, row + 0.4],
                color=style.look(row)["color"],
                linewidth=2,
            )
            paired = [uniform[seed] for seed in by_seed if seed in uniform]
            if paired:
                panel.plot(
                    [np.mean(paired)] * 2,
                    [row - 0.5, row + 0.5],
                    color="0.4",
                    linestyle="--",
                    linewidth=0.9,
                )
        panel.set_title("average of the tasks" if task is None else task)
        panel.set_yticks(range(len(methods)), methods)
        panel.set_ylim(len(methods) - 0.4, -0.6)
        _focus(panel, drawn)
        panel.locator_params(axis="x", nbins=5)
        style.finish(panel)
    style.label_bottom(panels, comparison.score.axis)
    return figure


def _focus(panel, drawn):
    """Shows the methods that lie together, and writes where others are.

    Args:
        panel: Matplotlib axes, a row for each method.
        drawn: List of a list of scores for each row.
    """
    means = np.array([np.mean(scores) for scores in drawn])
    low, high = np.quantile(means, (0.25, 0.75))
    reach = FAR * (high - low)
    inside = (means >= low - reach) & (means <= high + reach)
    if np.all(inside) or not reach:
        return
    seen = np.concatenate([drawn[row] for row in np.flatnonzero(inside)])
    margin = 0.05 * np.ptp(seen)
    panel.set_xlim(np.min(seen) - margin, np.max(seen) + margin)
    for row in np.flatnonzero(~inside):
        above = means[row] > high
        panel.text(
            0.98 if above else 0.02,
            row,
            f"{means[row]:.4g} →" if above else f"← {means[row]:.4g}",
            transform=panel.get_yaxis_transform(),
            horizontalalignment="right" if above else "left",
            verticalalignment="center",
            color=style.look(row)["color"],
            fontsize="small",
            bbox={"color": "white", "pad": 1.0},  # Above the dashed line.
        )
