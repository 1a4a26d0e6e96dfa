"""The demo: three ways to weigh the tasks of overlaid digits."""

import json
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from rich.table import Table

from keras_mtl.gradients.conflicts import ConflictMeter, cosines
from keras_mtl.lab.experiments.classification import accuracies
from keras_mtl.lab.experiments.digits import CLASSES, DigitsExperiment
from keras_mtl.lab.experiments.pictures import training_figure
from keras_mtl.lab.runs.progress import EpochProgress
from keras_mtl.lab.runs.recording import Recorder
from keras_mtl.lab.runs.running import compiled_model, fit

WEIGHTERS = ("uniform", "slaw", "meta_weighting")
NUM_SAMPLES = 8
# Training pictures on which conflicts are measured.
NUM_MEASURED = 256


class PairCosines(keras.callbacks.Callback):
    """Keeps how far the tasks' gradients agree, before training and in it.

    Args:
        x: Inputs to measure on.
        y: Their labels.

    Attributes:
        steps: List of integers, the steps taken so far.
        cosines: List of `(K (K - 1) / 2,)` arrays, one for each pair of tasks.
    """

    def __init__(self, x, y):
        super().__init__()
        self._data = x, y
        self.steps, self.cosines = [], []

    def on_train_begin(self, logs=None):
        """Measures for the first time."""
        self._meter = ConflictMeter(self.model, self._data)
        self._measure()

    def on_epoch_end(self, epoch, logs=None):
        """Measures again."""
        self._measure()

    def _measure(self):
        found = cosines(self._meter.gramian())
        self.cosines.append(found[np.triu_indices(len(found), k=1)])
        self.steps.append(
            int(tf.convert_to_tensor(self.model.optimizer.iterations))
        )


def run_demo(out, console, epochs=None, num_train=None):
    """Trains with each weighter, compares, exports, and serves.

    Writes `results.json`, `training.png`, `digits/` (a SavedModel) and
    `digits.keras`, the model with the best mean validation accuracy. The test
    pictures judge that one alone.

    Args:
        out: String, the folder to write to.
        console: `rich.console.Console`.
        epochs: Integer, or None for the experiment's own.
        num_train: Integer, training pictures, or None.

    Returns:
        Dict, the content of `results.json`.
    """
    out = _writable(out)
    began = time.monotonic()
    given = {"epochs": epochs, "num_train": num_train}
    given = {name: value for name, value in given.items() if value is not None}
    compared, weights, conflicts, models = {}, {}, {}, {}
    for name in WEIGHTERS:
        experiment = DigitsExperiment(weighter=name, **given)
        parts = experiment.load()
        if not models:
            _introduce(experiment, parts, console)
        model, recorder = compiled_model(experiment, parts), Recorder()
        progress = EpochProgress(name, console)
        x, y = tf.nest.map_structure(lambda a: a[:NUM_MEASURED], parts.train)
        conflicts[name] = PairCosines(x, y)
        try:
            fit(experiment, model, parts, recorder, [progress, conflicts[name]])
        finally:
            progress.close()
        weights[name] = recorder.task_weights
        models[name] = model
        compared[name] = {
            **accuracies(model, parts.validation, "validation"),
            "seconds": sum(recorder.history["seconds"]),
        }
    console.print(_table(compared))
    picture = out / "training.png"
    training_figure(
        [*weights.values()],
        [found.steps for found in conflicts.values()],
        [np.array(found.cosines) for found in conflicts.values()],
        [*CLASSES],
        WEIGHTERS,
    ).savefig(picture, dpi=150)
    best = max(compared, key=lambda name: compared[name]["validation_accuracy"])
    results = {
        "weighters": compared,
        "best": best,
        **accuracies(models[best], parts.test, "test"),
    }
    console.print(_test_line(results))
    models[best].save(out / "digits.keras")
    models[best].export(str(out / "digits"), verbose=False)
    console.print("Exported that model; served from the export:")
    console.print(_served(out / "digits", parts.test))
    (out / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    console.print(
        f"{time.monotonic() - began:.0f} s. "
        f"Weights and conflicts over time: {picture}\n"
        f"SavedModel: {out / 'digits'}   results: {out / 'results.json'}",
        markup=False,
        soft_wrap=True,
    )
    return results


def serve(folder, images):
    """Returns the predictions of a SavedModel, without Keras.

    Args:
        folder: String, the SavedModel.
        images: `(n, 8, 12, 1)` float32.

    Returns:
        Dict from task name to `(n, classes)` array.
    """
    served = tf.saved_model.load(str(folder)).signatures["serving_default"]
    outputs = served(image=tf.constant(images))
    return {task: values.numpy() for task, values in outputs.items()}


def _introduce(experiment, parts, console):
    counts = [len(x) for x, _ in (parts.train, parts.validation, parts.test)]
    console.print(
        f"Two overlaid handwritten digits: {counts[0]} training, {counts[1]} "
        f"validation and {counts[2]} test pictures, tasks "
        f"{', '.join(CLASSES)}, {experiment.epochs} epochs for each weighter."
    )


def _table(compared):
    table = Table(title="Validation accuracy (%)")
    table.add_column("weighter")
    for column in (*CLASSES, "mean", "training (s)"):
        table.add_column(column, justify="right")
    for name, result in compared.items():
        by_task = result["validation_accuracy_by_task"]
        cells = [f"{100 * by_task[task]:.1f}" for task in CLASSES]
        cells.append(f"{100 * result['validation_accuracy']:.1f}")
        table.add_row(name, *cells, f"{result['seconds']:.0f}")
    return table


def _test_line(results):
    by_task = results["test_accuracy_by_task"]
    parts = [f"{task} {100 * by_task[task]:.1f}" for task in CLASSES]
    return (
        f"Best by validation: {results['best']!r}. Its test accuracy (%): "
        f"{', '.join(parts)}, mean {100 * results['test_accuracy']:.1f}"
    )


def _served(folder, test):
    x, y = (tf.nest.map_structure(lambda a: a[:NUM_SAMPLES], t) for t in test)
    served = {t: np.argmax(p, axis=1) for t, p in serve(folder, x).items()}
    table = Table(title="Test pictures: served / true")
    for column in ("picture", *CLASSES):
        table.add_column(column, justify="right")
    for row in range(len(x)):
        cells = [
            ("" if served[t][row] == y[t][row] else "[red]")
            + f"{served[t][row]} / {y[t][row]}"
            for t in CLASSES
        ]
        table.add_row(str(row + 1), *cells)
    return table


def _writable(out):
    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / "results.json").touch()
    except OSError as error:
        raise ValueError(
            f"The output folder '{out}' is not writable: {error.strerror}. "
            "Pass another --out."
        ) from error
    return out
