"""How a check makes, drives and compares weighters."""

import functools
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.testing.signal_families import model_sizes

# What a step gives besides the state of the weighter.
RESULTS = ("call", "heads", "observe")


class ConformanceError(AssertionError):
    """Says which checks a weighter fails, and why.

    Example:

    >>> error = ConformanceError("a weight is NaN", ["check_finite"])
    >>> error.checks
    ('check_finite',)

    Args:
        message: String.
        checks: Tuple of strings, the names of the failed checks.
    """

    def __init__(self, message: str, checks: Sequence[str] = ()):
        super().__init__(message)
        self.checks = tuple(checks)


def fresh(make, num_tasks, seed=0):
    """Returns a new weighter with state for `num_tasks` tasks.

    Args:
        make: Weighter class, or function that returns a new weighter.
        num_tasks: Integer, the number of tasks K. `None` leaves the state to
            the first call.
        seed: Integer. Two weighters of one seed are exact copies, even if
            they draw from the global random generators.

    Returns:
        A `Weighter`.
    """
    keras.utils.set_random_seed(seed)
    weighter = make()
    if num_tasks is not None:
        weighter.bind(num_tasks, sizes=model_sizes(num_tasks))
    return weighter


def advance(weighter, signals):
    """Drives a weighter through one step, as training does.

    Args:
        weighter: `Weighter`.
        signals: Dict of tensors by signal name.

    Returns:
        Dict with the weights from `"call"`, the `"heads"` that it gives weights
        of their own, and the weights from `"observe"`, if defined.
    """
    weights = weighter.weigh(**{n: signals[n] for n in weighter.needs})
    results = {"call": weights.shared}
    if weights.heads is not None:
        results["heads"] = weights.heads
    if weighter.observes:
        observed = {n: signals[n] for n in weighter.observes}
        results["observe"] = weighter.observe(**observed)
    return results


def read(variable):
    """Returns the value of a variable as an array."""
    return tf.convert_to_tensor(variable).numpy()


def state(weighter, read=read):
    """Returns the value of every variable, as arrays by a unique name."""
    return {
        f"state {number} ({variable.name})": read(variable)
        for number, variable in enumerate(weighter.variables)
    }


def history(weighter, sequence, step=None):
    """Returns results and state after each step.

    Args:
        weighter: `Weighter`.
        sequence: List of dicts of tensors by signal name.
        step: Function from such a dict to results. `advance` by default.

    Returns:
        List of dicts of arrays.
    """
    step = step or functools.partial(advance, weighter)
    rows = []
    for signals in sequence:
        results = {n: value.numpy() for n, value in step(signals).items()}
        rows.append({**results, **state(weighter)})
    return rows


def expect_same(received, expected, remedy, tolerance=0.0):
    """Raises where two histories differ.

    Args:
        received: List of dicts of arrays.
        expected: List of dicts of arrays.
        remedy: String, what the author should do.
        tolerance: Float. Greatest difference of two float arrays, as a
            fraction of the greatest entry, or of 0.1 if that is more (the
            signals are of order 1). Integers must be equal.

    Raises:
        ConformanceError: At the first difference.
    """
    for step, (mine, other) in enumerate(zip(received, expected, strict=True)):
        if list(mine) != list(other):
            raise ConformanceError(
                f"expected the state {list(other)} after step {step + 1}; "
                f"received {list(mine)}. Make all state in `build`, with "
                "`add_state`."
            )
        for name, value in mine.items():
            if not same(value, other[name], tolerance):
                raise ConformanceError(
                    f"{name} differs after step {step + 1}: expected "
                    f"{show(other[name])}; received {show(value)}. {remedy}"
                )


def same(received, expected, tolerance=0.0):
    """Returns whether two arrays agree."""
    if received.shape != expected.shape or received.dtype != expected.dtype:
        return False
    if not tolerance or received.dtype.kind != "f":
        return np.array_equal(
            received, expected, equal_nan=received.dtype.kind == "f"
        )
    greatest = max(np.abs(received).max(), np.abs(expected).max(), 0.1)
    difference = np.abs(received.astype("float64") - expected).max()
    return bool(difference <= tolerance * greatest)


def show(value):
    """Returns an array as one short line."""
    value = np.asarray(value)
    text = np.array2string(value, precision=6, threshold=20, separator=", ")
    return f"{' '.join(text.split())} ({value.dtype}, shape {value.shape})"
