"""What Keras' progress line shows of many tasks."""

import re

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel
from keras_mtl.callbacks.progress_line import MOST_TASKS, with_line
from keras_mtl.layers import StackedHeads

NAMES = tuple(f"school_{number}" for number in range(120))
RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 3)).astype("float32")
Y = RNG.normal(size=(8, 120)).astype("float32")
WEIGHT = np.ones_like(Y)
WEIGHT[:, 5] = 0.0  # No label in the evaluation: its loss is NaN.
Y[:, 77] += 10.0


def numbers(line):
    """Returns the numbers of a line by their names."""
    found = re.findall(r" - (\w+(?: \(\w+\))?): (\S+)", line)
    return {name: float(value) for name, value in found}


@pytest.mark.parametrize("verbose", [1, 2])
def test_a_line_of_many_tasks_fits_a_screen(capsys, verbose):
    """Means and maximum by NumPy, of what History has of each task."""
    model = MultiTaskModel(
        keras.layers.Dense(4), StackedHeads(NAMES, 1, name="heads")
    )
    model.compile("sgd", "mse", metrics=["mae"], jit_compile=False)
    fit = {"validation_data": (X, Y, WEIGHT)}
    history = model.fit(X, Y, 4, 1, verbose, **fit).history
    *_, line = re.split(r"[\n\r\b]+", capsys.readouterr().out.strip())
    assert len(line) < 320  # With the colours of the bar.
    expected = {}
    for prefix in ("", "val_"):
        losses = [history[f"{prefix}{task}_loss"][0] for task in NAMES]
        expected |= {
            f"{prefix}loss": history[f"{prefix}loss"][0],
            f"{prefix}mean_mae": history[f"{prefix}mean_mae"][0],
            f"{prefix}mean_loss": np.nanmean(losses),
            f"{prefix}worst_loss (school_77)": np.nanmax(losses),
        }
    assert np.nanargmax(losses) == 77
    assert numbers(line) == pytest.approx(expected, abs=1e-3)
    assert list(numbers(line)) == list(expected)
    assert len(history) > 5 * len(NAMES)
    logs = model.evaluate(
        X, Y, 4, verbose, sample_weight=WEIGHT, return_dict=True
    )
    *_, line = re.split(r"[\n\r\b]+", capsys.readouterr().out.strip())
    found = numbers(line)
    assert found["loss"] == pytest.approx(logs["loss"], rel=1e-3)
    assert found.keys() == {n for n in expected if not n.startswith("val_")}


def test_few_tasks_and_lines_of_ones_own_are_left_alone():
    given = [keras.callbacks.TerminateOnNaN()]
    assert with_line(NAMES[:MOST_TASKS], given, 1) == given
    assert with_line(NAMES, given, 0) == given
    given.append(keras.callbacks.ProgbarLogger())
    assert with_line(NAMES, given, "auto") == given
