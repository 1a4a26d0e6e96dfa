"""Heat maps of cosines between tasks."""

import math

import numpy as np

from keras_mtl.reporting.style import panels

# Numbers in the cells are read up to here.
MOST_NUMBERS = 12


def heat_maps(path, maps, task_names):
    """Draws square arrays of cosines, each a panel, red where tasks conflict.

    Args:
        path: String or path of the picture.
        maps: Dict from title to `(K, K)` array; NaN stays white.
        task_names: Tuple of K strings.
    """
    size = len(task_names)
    side = 1.6 + min(8.0, 0.5 * size)
    columns = min(3, len(maps))
    figure, axes = panels(len(maps), columns, side + 0.6, side)
    for axis, (title, values) in zip(np.ravel(axes), maps.items(), strict=True):
        image = axis.imshow(values, cmap="RdBu", vmin=-1.0, vmax=1.0)
        axis.set_title(title)
        axis.set_xticks(range(size), task_names, rotation=90)
        axis.set_yticks(range(size), task_names)
        axis.grid(False)
        if size <= MOST_NUMBERS:
            for row, column in np.ndindex(values.shape):
                _number(axis, row, column, float(values[row, column]))
    figure.colorbar(image, ax=list(np.ravel(axes)), label="cosine", shrink=0.8)
    figure.savefig(path, dpi=150)


def _number(axis, row, column, value):
    if math.isnan(value):
        return
    colour = "white" if abs(value) > 0.6 else "black"
    axis.text(
        column,
        row,
        f"{value:.2f}",
        ha="center",
        va="center",
        color=colour,
        fontsize="small",
    )
