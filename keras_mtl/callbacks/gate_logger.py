"""Which experts serve which tasks, over the epochs."""

import csv
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_mtl.checks import need
from keras_mtl.reporting import style

FILE, PICTURE = "gate_weights.csv", "gate_weights.png"


class GateLogger(keras.callbacks.Callback):
    """Writes how much each expert counts for each task, and draws it.

    After each epoch it writes a row for each task to `gate_weights.csv`, with
    the columns `epoch`, `task`, `expert_0`, ...: the means of the encoder's
    `gate_weights` over a fixed batch. At the end it draws the latest ones as
    `gate_weights.png`.

    Example:

    >>> model.fit(x, y, callbacks=[GateLogger("logs", x[:256])])

    Args:
        log_dir: String, the folder to write to.
        inputs: Inputs as `fit` takes them, some rows.

    Raises:
        ValueError: If the model's encoder has no gates, or matplotlib is not
            installed.
    """

    def __init__(self, log_dir: str | Path, inputs: Any):
        super().__init__()
        need("GateLogger", ("matplotlib",), "report")
        self.log_dir, self.inputs = Path(log_dir), inputs
        self._latest = None

    def on_train_begin(self, logs=None):
        """Checks the encoder, and starts the file."""
        encoder = getattr(self.model, "encoder", None)
        if not hasattr(encoder, "gate_weights"):
            raise ValueError(
                "GateLogger needs an encoder with gates, such as MMoE or PLE. "
                f"Received: an encoder of type {type(encoder).__name__}"
            )
        self.log_dir.mkdir(parents=True, exist_ok=True)
        self._rows = []

    def on_epoch_end(self, epoch, logs=None):
        """Writes a row for each task."""
        self._latest = mean_gates(self.model.encoder, self.inputs)
        for task, weights in self._latest.items():
            self._rows.append([epoch + 1, task, *map(float, weights)])
        most = max(len(row) for row in self._rows) - 2
        header = ["epoch", "task", *(f"expert_{e}" for e in range(most))]
        with (self.log_dir / FILE).open("w", newline="") as file:
            csv.writer(file).writerows([header, *self._rows])

    def on_train_end(self, logs=None):
        """Draws the picture."""
        if self._latest:
            figure = draw_gates(self._latest)
            figure.savefig(self.log_dir / PICTURE, dpi=130)


def mean_gates(encoder, inputs) -> dict:
    """Returns a dict from task name to `(E,)` mean weights of the experts.

    Args:
        encoder: Encoder with `gate_weights`.
        inputs: Inputs for all tasks, or a dict of them by task name.
    """
    found = encoder.gate_weights(inputs)
    return {
        task: np.mean(np.asarray(weights, "float64"), axis=0)
        for task, weights in found.items()
    }


def draw_gates(gates):
    """Draws a row for each task and a column for each expert.

    Args:
        gates: Dict from task name to `(E,)` weights, each from 0 to 1.

    Returns:
        A matplotlib figure.
    """
    most = max(len(weights) for weights in gates.values())
    grid = np.full((len(gates), most), np.nan)
    for row, weights in enumerate(gates.values()):
        grid[row, : len(weights)] = weights
    figure = style.new_figure(1.6 + 0.7 * most, 1.1 + 0.45 * len(gates))
    panel = figure.subplots()
    image = panel.imshow(grid, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for (row, column), weight in np.ndenumerate(grid):
        if np.isfinite(weight):
            panel.text(
                *(column, row, f"{weight:.2f}"),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if weight > 0.6 else "black",
            )
    panel.set_xticks(range(most))
    panel.set_yticks(range(len(gates)), list(gates))
    panel.set_xlabel("expert")
    figure.colorbar(image, label="mean weight")
    return figure
