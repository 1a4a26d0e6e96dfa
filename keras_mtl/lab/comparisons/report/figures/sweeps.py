"""The average score against a parameter that was swept."""

from keras_mtl.lab.comparisons.report.statistics import (
    on_common_seeds,
    t_interval,
)
from keras_mtl.reporting import style

AXES = {
    "query_split": "query ratio ρ (share of the training rows)",
    "step_size": "step size of the task weights (no unit)",
    "num_tasks": "number of tasks",
}
# From this ratio of the largest value to the smallest, a logarithmic axis.
WIDE = 10.0


def swept_scores(comparison, parameter) -> dict:
    """Returns `{method: {value: list of scores}}`, values in order.

    The runs outside the sweep count for the value that they have. Values are
    compared on the seeds that they have in common, where there are any.

    Args:
        comparison: `Comparison`.
        parameter: String.
    """
    found = {}
    for cell in comparison.cells:
        own = cell.sweep or comparison.plain_values.get(cell.method, {})
        if parameter in own and set(cell.sweep) <= {parameter}:
            values = found.setdefault(cell.method, {})
            value = float(own[parameter])
            scores = values.setdefault(value, {})
            scores[cell.seed] = comparison.scaled(cell)
    return {
        method: {
            value: list(scores.values())
            for value, scores in sorted(on_common_seeds(values).items())
        }
        for method, values in found.items()
    }


def draw_sweeps(comparison):
    """Draws a panel per parameter: means over seeds with 95 % t-intervals.

    Args:
        comparison: `Comparison`.

    Returns:
        A matplotlib figure, or `None` without results.

    Reference:
        - [Mao et al., 2022](https://aclanthology.org/2022.findings-acl.271),
            Figures 4 and 5
    """
    swept = {p: swept_scores(comparison, p) for p in comparison.sweeps}
    swept = {p: methods for p, methods in swept.items() if methods}
    if not swept:
        return None
    figure, panels = style.panels(len(swept), 2, 4.6, 3.4)
    for panel, (parameter, methods) in zip(panels, swept.items(), strict=True):
        for index, (method, values) in enumerate(methods.items()):
            _draw_method(panel, index, method, values)
        ticks = sorted({v for values in methods.values() for v in values})
        if ticks[0] > 0.0 and ticks[-1] >= WIDE * ticks[0]:
            panel.set_xscale("log")
        panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        panel.set_xticks([], minor=True)
        panel.set_xlabel(AXES.get(parameter, f"{parameter} (no unit)"))
        panel.set_ylabel(f"average {comparison.score.axis}")
        panel.legend(frameon=False)
        style.finish(panel)
    return figure


def draw_intervals(panel, places, scores, look):
    """Draws means and 95 % t-intervals of lists of scores.

    Args:
        panel: Matplotlib axes.
        places: List of n floats, on the horizontal axis.
        scores: Iterable of n lists.
        look: Dict of further arguments of `errorbar`.
    """
    intervals = [t_interval(own) for own in scores]
    panel.errorbar(
        places,
        [interval.mean for interval in intervals],
        # A single seed has no interval.
        yerr=[
            interval.half_width if interval.count > 1 else 0.0
            for interval in intervals
        ],
        capsize=3,
        **look,
    )


def _draw_method(panel, index, method, values):
    look = {"label": method, **style.marked(index, 1)}
    draw_intervals(panel, list(values), values.values(), look)
    for value, scores in values.items():
        color = style.look(index)["color"]
        panel.plot([value] * len(scores), scores, ".", color=color, alpha=0.5)
