"""How the weights moved over the steps of training."""

from keras_mtl.lab.experiments.pictures import weights_figure


def draw_weights(comparison):
    """Draws a panel per method, its weights with the first finished seed.

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
    return weights_figure(
        [cell.weight_steps for cell in runs],
        [cell.weights for cell in runs],
        comparison.tasks,
        [f"{cell.method}, seed {cell.seed}" for cell in runs],
    )
