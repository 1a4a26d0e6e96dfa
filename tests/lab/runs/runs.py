"""Runs of the small experiment by its script, and their results."""

import json

import keras
import numpy as np

from tests import warm


def run_script(out, *arguments):
    """Runs `small_run.py` to its end, good or bad."""
    return warm.run("-m", "tests.lab.runs.small_run", out, *arguments)


def results(out):
    """Returns history, metrics, weights and variables, but for the times."""
    history = json.loads((out / "history.json").read_text())
    metrics = json.loads((out / "metrics.json").read_text())
    seconds = history.pop("seconds"), metrics.pop("seconds")
    assert abs(sum(seconds[0]) - seconds[1]) < 1e-6
    for name in ("step_seconds", "step_processor_seconds"):
        median = np.median(history.pop(name))
        assert abs(median - metrics.pop(name)) < 1e-9
    weights = np.load(out / "weights.npy", allow_pickle=False)
    model = keras.saving.load_model(out / "model.keras")
    return history, metrics, weights, model.variables


def assert_same_results(out, other):
    """Compares two finished runs, bit for bit."""
    *mine, my_variables = results(out)
    *theirs, their_variables = results(other)
    for received, expected in zip(mine, theirs, strict=True):
        np.testing.assert_equal(received, expected)
    for variable, expected in zip(my_variables, their_variables, strict=True):
        # Keras does not save these; each epoch sets them.
        if "seed_generator" not in variable.path:
            np.testing.assert_array_equal(variable, expected, variable.path)
