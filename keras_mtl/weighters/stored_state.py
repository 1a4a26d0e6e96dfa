"""The state of a weighter in a file, where tasks and class go by name."""

import json

import numpy as np
import tensorflow as tf

from keras_mtl import compat


def describe(weighter, store):
    """Writes whose state it is: the class, and the tasks' names."""
    _write(store, "class_name", type(weighter).__name__)
    if weighter.task_names:
        _write(store, "task_names", weighter.task_names)


def saved_values(weighter, store, variables):
    """Returns the saved value of each variable.

    Args:
        weighter: The `Weighter` that is to take them.
        store: Dict-like, as `load_own_variables` is given it.
        variables: List of its variables.

    Raises:
        ValueError: If it is the state of another weighter.
    """
    numbered = filter(str.isdigit, list(store.keys()))
    values = [np.asarray(store[key]) for key in sorted(numbered, key=int)]
    received = [value.shape for value in values]
    expected = [tuple(variable.shape) for variable in variables]
    name = type(weighter).__name__
    saved_name = _read(store, "class_name") or name
    if (saved_name, received) != (name, expected):
        raise ValueError(
            f"The file does not hold the state of this {name}. Expected: "
            f"{name} with values of shapes {expected}. Received: "
            + (f"{saved_name} with {received}. " if received else "none. ")
            + "Compile the model with the weighter that the file was saved "
            "with, and train on with fit(weighter=...) for another; or pass "
            "skip_mismatch=True to load_weights()."
        )
    return values


def saved_positions(weighter, store):
    """Returns where each task of `weighter` stood when its state was saved.

    Returns:
        Tuple of integers, or None where names are not known.

    Raises:
        ValueError: If the state belongs to other tasks.
    """
    saved = _read(store, "task_names")
    if weighter.task_names is None or saved is None:
        return None
    if sorted(saved) != sorted(weighter.task_names):
        raise ValueError(
            f"The saved {type(weighter).__name__} belongs to the tasks "
            f"{saved}, not to {list(weighter.task_names)}. Load it into a "
            "model with the same task names."
        )
    return tuple(saved.index(name) for name in weighter.task_names)


def owner_of(store):
    """Returns whose state it is: class, and tasks or None."""
    return _read(store, "class_name"), _read(store, "task_names")


def chain(weighter):
    """Returns a weighter and those inside of it, from the outermost on."""
    inside = getattr(weighter, "inside", tuple)
    return [weighter, *inside()]


def merged(weighter, store):
    """Returns what a state of other tasks gives those that both know.

    Args:
        weighter: The `Weighter` that is to take it; one inside of it is left
            out.
        store: Dict-like, as `load_own_variables` is given it.

    Returns:
        List of pairs, a variable and its value; None where the state has
        another form.
    """
    own = list(weighter.task_names)
    saved = _read(store, "task_names") or own
    variables = compat.own_variables(weighter)
    numbered = sorted(filter(str.isdigit, list(store.keys())), key=int)
    known = len(compat.layers_within(weighter)) == len(chain(weighter))
    if len(numbered) != len(variables) or not known:
        return None
    pairs = []
    for variable, key in zip(variables, numbered, strict=True):
        old, new = np.asarray(store[key]), current(variable)
        if old.ndim != new.ndim:
            return None
        axes = weighter._axes.get(id(variable))
        if "float" not in variable.dtype:
            axes = ()
        value = merged_by_task(old, new, saved, own, axes)
        if value is not None:
            pairs.append((variable, value))
    return pairs


def current(variable) -> np.ndarray:
    """Returns a copy of a variable's value."""
    # Keras cannot convert a variable that is spread over replicas.
    return np.array(tf.convert_to_tensor(variable).numpy())


def merged_by_task(old, new, saved, own, axes=None):
    """Returns an array with the values of other tasks where both know them.

    Args:
        old: Array of the `saved` tasks.
        new: Array of the `own` tasks.
        saved: List of task names.
        own: List of task names.
        axes: Tuple of the axes that are indexed by task; by default, all that
            have as many entries as there are tasks.

    Returns:
        Array, or `None` where the shapes differ by more than the tasks.
    """
    shapes = list(zip(old.shape, new.shape, strict=True))
    named = [
        shape == (len(saved), len(own)) and (axes is None or axis in axes)
        for axis, shape in enumerate(shapes)
    ]
    pairs = zip(shapes, named, strict=True)
    if any(a != b and not by_task for (a, b), by_task in pairs):
        return None
    common = [task for task in own if task in saved]
    sizes = list(zip(new.shape, named, strict=True))
    new[_rows(sizes, own, common)] = old[_rows(sizes, saved, common)]
    return new


def _rows(axes, tasks, common):
    places = [tasks.index(task) for task in common]
    return np.ix_(*(places if named else range(size) for size, named in axes))


def reordered(value, positions, axes=None):
    """Returns an array whose task axes are taken in another order.

    Args:
        value: Array.
        positions: Tuple of K integers.
        axes: Tuple of integers, by default all of length K.
    """
    if axes is None:
        shape = enumerate(value.shape)
        axes = [axis for axis, length in shape if length == len(positions)]
    for axis in axes:
        value = np.take(value, positions, axis=axis)
    return value


def _write(store, name, value):
    # Files hold arrays only.
    store[name] = np.frombuffer(json.dumps(value).encode(), dtype="uint8")


def _read(store, name):
    if name not in store:
        return None
    return json.loads(np.asarray(store[name]).tobytes())
