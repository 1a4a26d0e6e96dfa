"""How the weights moved over the steps of training."""

from keras_mtl.comparisons.report.figures import style


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
        for index, task in enumerate(comparison.tasks):
            weights = cell.weights[:, index]
            panel.plot(
                cell.weight_steps, weights, label=task, **style.look(index)
            )
        style.widen(panel)
        panel.set_title(f"{cell.method}, seed {cell.seed}")
        style.finish(panel)
    style.label_bottom(panels, "training step (batches)")
    figure.supylabel("task weight (no unit)")
    style.legend_below(figure, panels[0], "task")
    return figure
