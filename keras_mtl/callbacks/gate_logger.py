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
    the columns `epoch`, `task` and the encoder's `expert_names`: `expert_0`,
    ... of `MMoE`; `own_0`, ..., `shared_0`, ... of `PLE`, of its last level.
    Values are the means of the encoder's `gate_weights` over a fixed batch; an
    expert that a task's gate does not read has none. At the end it draws the
    latest ones as `gate_weights.png`.

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
        encoder = self.model.encoder
        self._latest = mean_gates(encoder, self.inputs)
        self._names = _names_of(encoder, self._latest)
        columns = _columns(self._names)
        for task, weights in self._latest.items():
            of = dict(zip(self._names[task], map(float, weights), strict=True))
            self._rows.append([epoch + 1, task, *map(of.get, columns)])
        header = ["epoch", "task", *columns]
        with (self.log_dir / FILE).open("w", newline="") as file:
            csv.writer(file).writerows([header, *self._rows])

    def on_train_end(self, logs=None):
        """Draws the picture."""
        if self._latest:
            figure = draw_gates(self._latest, self._names)
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


def draw_gates(gates, names=None):
    """Draws a row for each task and a column for each expert.

    Args:
        gates: Dict from task name to `(E,)` weights, each from 0 to 1.
        names: Dict from task name to the names of its experts, each a word
            and a number; by default, the same experts for all tasks.

    Returns:
        A matplotlib figure.
    """
    names = names or _names_of(None, gates)
    columns = _columns(names)
    most = len(columns)
    grid = np.full((len(gates), most), np.nan)
    for row, (task, weights) in enumerate(gates.items()):
        for name, weight in zip(names[task], weights, strict=True):
            grid[row, columns.index(name)] = weight
    labels = [name.removeprefix("expert_") for name in columns]
    labels = [label.replace("_", " ") for label in labels]
    long = max(map(len, labels)) > 9
    height = 1.1 + 0.45 * len(gates) + 0.8 * long
    figure = style.new_figure(1.6 + 0.7 * most, height)
    panel = figure.subplots()
    image = panel.imshow(grid, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for (row, column), weight in np.ndenumerate(grid):
        if np.isfinite(weight):
            panel.text(
                column,
                row,
                f"{weight:.2f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if weight > 0.6 else "black",
            )
    panel.set_xticks(range(most), labels, rotation=60 * long)
    panel.set_yticks(range(len(gates)), list(gates))
    panel.set_xlabel("expert")
    figure.colorbar(image, label="mean weight")
    return figure


def _names_of(encoder, gates):
    """Returns the names of the experts that each task's gate reads."""
    named = getattr(encoder, "expert_names", None)
    if named is not None:
        return named()
    return {
        task: [f"expert_{number}" for number in range(len(weights))]
        for task, weights in gates.items()
    }


def _columns(names):
    """Returns all names once, by word and number."""

    def place(name):
        word, number = name.rsplit("_", 1)
        return word, int(number)

    return sorted({n for of in names.values() for n in of}, key=place)
