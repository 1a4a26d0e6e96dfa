"""Argument checks whose errors say what was expected and received."""

import difflib
import importlib.util
import math
import reprlib
from collections.abc import Iterable
from contextlib import contextmanager

import tensorflow as tf

# What code raises on a config that was not written for it.
UNFIT = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    tf.errors.OpError,
)


def finite(name: str, value: float) -> float:
    """Returns `value` as a float, or raises if it is not a finite number."""
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError(
            f"Argument `{name}` must be a finite number. "
            f"Received: {name}={value!r}"
        )
    return number


def above(name: str, value: float, bound: float) -> float:
    """Returns `value` if it is finite and greater than `bound`."""
    number = finite(name, value)
    if number <= bound:
        raise ValueError(
            f"Argument `{name}` must be greater than {bound:g}. "
            f"Received: {name}={value!r}"
        )
    return number


def at_least(name: str, value: float, bound: float) -> float:
    """Returns `value` if it is finite and at least `bound`."""
    number = finite(name, value)
    if number < bound:
        raise ValueError(
            f"Argument `{name}` must be at least {bound:g}. "
            f"Received: {name}={value!r}"
        )
    return number


def between(name: str, value: float, low: float, high: float) -> float:
    """Returns `value` if it lies in the half-open range `[low, high)`."""
    number = finite(name, value)
    if not low <= number < high:
        raise ValueError(
            f"Argument `{name}` must be in the range [{low:g}, {high:g}). "
            f"Received: {name}={value!r}"
        )
    return number


def fraction(name: str, value: float) -> float:
    """Returns `value` if it lies between 0 and 1, both excluded."""
    number = finite(name, value)
    if not 0.0 < number < 1.0:
        raise ValueError(
            f"Argument `{name}` must lie between 0 and 1, both excluded. "
            f"Received: {name}={value!r}"
        )
    return number


def probability(name: str, value: float) -> float:
    """Returns `value` if it lies between 0 and 1, both included."""
    number = finite(name, value)
    if not 0.0 <= number <= 1.0:
        raise ValueError(
            f"Argument `{name}` must lie between 0 and 1. "
            f"Received: {name}={value!r}"
        )
    return number


def integer(name: str, value: int, minimum: int) -> int:
    """Returns `value` if it is an integer of at least `minimum`."""
    if isinstance(value, bool) or int(finite(name, value)) != value:
        raise ValueError(
            f"Argument `{name}` must be an integer. Received: {name}={value!r}"
        )
    return int(at_least(name, value, minimum))


def one_of(name: str, value, choices: Iterable):
    """Returns `value` if it is one of `choices`; else names the nearest."""
    choices = list(choices)
    if value not in choices:
        raise ValueError(
            f"Argument `{name}` must be one of {choices}. "
            f"Received: {name}={value!r}.{did_you_mean(value, choices)}"
        )
    return value


def did_you_mean(word, known: Iterable) -> str:
    """Returns " Did you mean 'x'?" for the nearest known word, or ""."""
    near = difflib.get_close_matches(str(word), [str(k) for k in known], 1, 0.5)
    return f" Did you mean '{near[0]}'?" if near else ""


def task_name(name: str) -> str:
    """Returns `name` if it can be a task's, or raises."""
    if not isinstance(name, str) or not name or "/" in name:
        raise ValueError(
            "A task's name must be a string, not empty and without '/'. "
            f"Received: {name!r}"
        )
    return name


def distinct_names(task_names) -> tuple[str, ...]:
    """Returns the names of tasks, at least one, or raises."""
    listed = isinstance(task_names, Iterable) and bool(task_names)
    if isinstance(task_names, str) or not listed:
        raise ValueError(
            "Argument `task_names` must be a list with at least one string. "
            f"Received: task_names={task_names!r}"
        )
    names = tuple(map(task_name, task_names))
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(
            "Argument `task_names` must not name a task twice. Received twice: "
            f"{twice}"
        )
    return names


def check_tasks(what, given, task_names, having=None, complete=False):
    """Raises if the keys of `given` are not task names, or not all of them.

    Args:
        what: String, what is given, in the singular.
        given: Iterable of strings.
        task_names: The names that there are.
        having: String, what all of these have; heads by default.
        complete: Boolean, whether all must be given.
    """
    there, names = "head of that name", "Heads"
    if having is not None:
        there, names = f"{having} for it", f"Tasks with a {having}"
    for task in given:
        if task not in task_names:
            raise ValueError(
                f"Task {task!r} has a {what} but the model has no {there}. "
                f"{names}: {list(task_names)}."
                f"{did_you_mean(task, task_names)}"
                + (f" Leave out the {what}." if having else "")
            )
    missing = [task for task in task_names if task not in given]
    if complete and missing:
        raise ValueError(
            f"The model has heads for the tasks {missing}, which have no "
            f"{what}. Received: {what} for {list(given)}."
        )


def class_name_of(what: str, config) -> str:
    """Returns the `class_name` of a config dict, or raises.

    Args:
        what: String, whose config, in the error message.
        config: Anything.
    """
    name = config.get("class_name") if isinstance(config, dict) else None
    if isinstance(name, str):
        return name
    raise ValueError(
        f"{what}'s config must have a `class_name`. Received: "
        f"config={reprlib.repr(config)}"
    )


@contextmanager
def fitting(name: str, config):
    """Says which class a config does not fit, whatever goes wrong with it.

    Args:
        name: String, the class.
        config: What was read.
    """
    try:
        yield
    except UNFIT as error:
        raise ValueError(
            f"The config does not fit {name}: {type(error).__name__}: {error} "
            f"Received: config={reprlib.repr(config)}"
        ) from error


def need(asked: str, packages: Iterable[str], extra: str):
    """Raises if a package that is not always installed is missing.

    Args:
        asked: What the user asked for, such as `--plot`.
        packages: Names to import.
        extra: Name of the extra that installs them.
    """
    missing = [p for p in packages if importlib.util.find_spec(p) is None]
    if missing:
        raise ValueError(
            f"{asked} needs {' and '.join(missing)}, not installed here. Run: "
            f'pip install "keras-mtl[{extra}]"'
        )
