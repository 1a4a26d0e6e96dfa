"""What is measured beside training, for reports: conflicts, and losses."""

from typing import Any

import keras
import numpy as np

from keras_mtl.gradients.conflicts import ConflictMeter

# Epochs whose losses are compared; later on, every tenth, and the last.
LOSS_EPOCHS = (1, 2, 5)
LOSS_ROWS = 1_000


class Diagnostics(keras.callbacks.Callback):
    """Adds conflicts of gradients, and losses on sets of rows, to the logs.

    They are measured as in inference and choose nothing.

    Args:
        data: `SupportQuery` of `(x, y)` or `(x, y, sample_weight)`, arrays;
            losses are measured where there is a query set.
        test: The same of one set, the rows that stand for those not seen yet.
        conflict_rows: Integer, rows on which conflicts are measured.
        evaluation_batch: Integer, rows of a batch on which losses are.
    """

    params: dict[str, Any]

    def __init__(self, data, test, conflict_rows=64, evaluation_batch=256):
        super().__init__()
        self._evaluation_batch = evaluation_batch
        self._batch = _spread(data.support, conflict_rows)
        self._sets = {}
        if data.query is not None:
            self._sets = {
                name: _spread(rows, LOSS_ROWS)
                for name, rows in (
                    ("training", data.support),
                    ("query", data.query),
                    ("test", test),
                )
            }

    def on_train_begin(self, logs=None):
        """Prepares to measure conflicts."""
        self._meter = ConflictMeter(self.model, self._batch)

    def on_epoch_end(self, epoch, logs=None):
        """Adds to the logs."""
        logs = {} if logs is None else logs
        logs |= self._meter()._asdict()
        done = epoch + 1
        last = done == self.params["epochs"]
        due = done in LOSS_EPOCHS or done % 10 == 0 or last
        for name, (x, y, *weights) in self._sets.items():
            results = {}
            if due:
                results = self.model.evaluate(
                    x,
                    y,
                    batch_size=self._evaluation_batch,
                    sample_weight=weights[0] if weights else None,
                    verbose=0,
                    return_dict=True,
                )
            unknown = float("nan")
            for task, labels in y.items():
                rows = f"{name}_rows_{task}"
                logs[f"{rows}_loss"] = results.get(f"{task}_loss", unknown)
                accuracy = results.get(f"{task}_accuracy", unknown)
                logs[f"{rows}_error"] = 1.0 - accuracy
                logs[f"{rows}_count"] = len(labels)


def _spread(data, count) -> Any:
    """Returns `count` rows from all over it, as it has an order."""
    x, y, *weights = data
    given = [of for of in weights if of is not None]

    def some(rows):
        taken = np.linspace(0, len(rows) - 1, min(count, len(rows)))
        return rows[taken.astype(int)]

    return keras.tree.map_structure(some, (x, y, *given))
