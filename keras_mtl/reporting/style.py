"""How all pictures look: colours, lines, grids of panels."""

import math

import numpy as np

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"),
    "#000000",
)
# As many as have no divisor in common with the colours.
STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "h")
# Weights and scores that hardly move are not to look as if they did.
LEAST_SPAN = 0.1
# More tasks than that are not shown one by one.
MANY_TASKS = 32


def look(index) -> dict:
    """Returns colour and line style of the `index`-th line.

    No two of 28 are alike, and neighbours differ in both: where lines lie on
    one another, the dashes of the upper show the lower.
    """
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": STYLES[index % len(STYLES)],
        "linewidth": 1.5,
    }


def marked(index, count) -> dict:
    """Returns `look` with markers, about ten on a line of `count` points."""
    return {
        **look(index),
        "marker": MARKERS[index % len(MARKERS)],
        "markersize": 5,
        "markerfacecolor": "none",
        "markevery": max(1, count // 10),
    }


def new_figure(width, height):
    """Returns a figure of that size in inches, to be drawn without a screen."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def panels(count, columns, width, height, **kwargs):
    """Returns a figure and its `count` panels, row by row.

    Args:
        count: Integer, at least 1.
        columns: Integer, at most so many panels in a row.
        width: Float, inches of a panel.
        height: Float, inches of a panel.
        **kwargs: Passed to `Figure.subplots`.
    """
    columns = min(columns, count)
    rows = math.ceil(count / columns)
    # Room for labels of an axis beside a single panel.
    figure = new_figure(width * columns + 1.0, height * rows + 0.6)
    grid = figure.subplots(rows, columns, squeeze=False, **kwargs).ravel()
    for spare in grid[count:]:
        spare.remove()
    return figure, list(grid[:count])


def label_bottom(panels, text):
    """Labels the horizontal axis of the panels that have none below.

    A label of the whole figure would lie on a legend that is below it.
    """
    for panel in panels:
        place = panel.get_subplotspec()
        below = [
            other
            for other in panels
            if other.get_subplotspec().colspan.start == place.colspan.start
            and other.get_subplotspec().rowspan.start > place.rowspan.start
        ]
        if not below:
            panel.set_xlabel(text)


def finish(panel):
    """Draws a light grid, and no frame above and to the right."""
    panel.grid(alpha=0.3)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)


def widen(panel, least=LEAST_SPAN):
    """Makes the vertical axis span `least` or more."""
    low, high = panel.get_ylim()
    missing = least - (high - low)
    if missing > 0:
        panel.set_ylim(low - missing / 2, high + missing / 2)


def legend_below(figure, panel, title, columns=7):
    """Names the lines of `panel` below all panels, in rows that fit there."""
    handles, labels = panel.get_legend_handles_labels()
    columns = min(columns, len(labels))
    while columns > 1 and _width(labels, columns) > figure.get_figwidth():
        columns -= 1
    # Further rows are not to take height from the panels.
    further = max(0, math.ceil(len(labels) / max(columns, 1)) - 1)
    figure.set_figheight(figure.get_figheight() + 0.22 * further)
    figure.legend(
        handles,
        labels,
        title=title,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        handlelength=3.0,
    )


def _width(labels, columns):
    """Returns about how many inches wide a legend is."""
    longest = [max(map(len, part)) for part in np.array_split(labels, columns)]
    # Of a line with its gaps, and of a letter.
    return 0.85 * columns + 0.08 * sum(longest)
