"""How the weights moved over the steps of training."""

import numpy as np

from keras_mtl.comparisons.report.figures import style

# More steps than this are drawn as means over neighbours.
MOST_POINTS = 300


def draw_weights(comparison):
    """Draws a panel per method, its weights with the first finished seed.

    Panels have scales of their own: some weights move by far less than others.

    Args:
        comparison: `Comparison`.

    Returns:
        A matplotlib figure, or `None` without results.

    Reference:
        - [Mao et al., 2022](https://aclanthology.org/2022.findings-acl.271),
            Figures 8, 9 and 12
    """
    runs = []
    for method in comparison.methods:
        cells = comparison.of_method(method).values()
        cells = [c for c in cells if c.weights is not None and len(c.weights)]
        if cells:
            runs.append(min(cells, key=lambda cell: cell.seed))
    if not runs:
        return None
    figure, panels = style.panels(len(runs), 3, 3.6, 2.6)
    for panel, cell in zip(panels, runs, strict=True):
        steps, weights = thinned(cell.weight_steps, cell.weights)
        for index, task in enumerate(comparison.tasks):
            panel.plot(
                steps, weights[:, index], label=task, **style.look(index)
            )
        style.widen(panel)
        panel.set_title(f"{cell.method}, seed {cell.seed}")
        style.finish(panel)
    style.label_bottom(panels, "training step (batches)")
    figure.supylabel("task weight (no unit)")
    style.legend_below(figure, panels[0], "task")
    return figure


def thinned(steps, weights):
    """Returns at most `MOST_POINTS` means of neighbouring steps.

    Args:
        steps: `(steps,)` array.
        weights: `(steps, K)` array.
    """
    if len(steps) <= MOST_POINTS:
        return steps, weights
    starts = np.linspace(0, len(steps), MOST_POINTS, endpoint=False).astype(int)
    counts = np.diff([*starts, len(steps)])
    return (
        np.add.reduceat(steps, starts) / counts,
        np.add.reduceat(weights, starts) / counts[:, None],
    )
