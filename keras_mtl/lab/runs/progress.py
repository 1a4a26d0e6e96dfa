"""Progress of training on the terminal."""

from typing import Any

import keras
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)


class EpochProgress(keras.callbacks.Callback):
    """A bar that moves with each epoch and shows loss and weights.

    Args:
        title: String before the bar.
        console: `rich.console.Console`.
    """

    params: dict[str, Any]

    def __init__(self, title, console):
        super().__init__()
        self._title, self._console = title, console
        self._progress = None

    def on_train_begin(self, logs=None):
        """Shows the bar."""
        self._progress = Progress(
            TextColumn("{task.description:<16}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("epochs"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[news]}"),
            console=self._console,
        )
        self._bar = self._progress.add_task(
            self._title, total=self.params["epochs"], news=""
        )
        self._progress.start()

    def on_epoch_end(self, epoch, logs=None):
        """Moves the bar."""
        self._progress.update(
            self._bar, completed=epoch + 1, news=_news(logs or {})
        )

    def on_train_end(self, logs=None):
        """Leaves the bar as it is."""
        self.close()

    def close(self):
        """Gives the terminal back."""
        if self._progress is not None:
            self._progress.stop()


def _news(logs):
    loss = logs.get("val_loss", logs.get("loss"))
    name = "validation loss" if "val_loss" in logs else "loss"
    return f"{name} {loss:.3g}" if loss is not None else ""
