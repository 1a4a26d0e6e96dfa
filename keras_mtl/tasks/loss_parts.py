"""The losses of a task whose head predicts several tensors, or has several.

A task's loss is the sum of its parts, each a mean over its own labels times
its weight.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from keras_mtl.checks import did_you_mean


class LossPart(NamedTuple):
    """One loss function on one tensor that a head predicts.

    Attributes:
        path: Tuple of keys and positions, from the head's output to it.
        loss: Keras loss, its name, or a function.
        weight: Float or variable, of the loss within its task.
    """

    path: tuple
    loss: Any
    weight: Any


def loss_parts(task, loss, weight, output) -> list[LossPart]:
    """Returns the parts of a task's loss.

    Args:
        task: String, named in errors.
        loss: Loss, or a dict, tuple or list of losses nested as the output
            is; a list for one tensor is the sum of its losses, and one loss
            for several tensors is that of each. `None` for no loss.
        weight: Float or variable, or nested alike.
        output: Tensor, or nested tensors, that the head predicts.

    Raises:
        ValueError: If the structures do not fit each other.
    """
    return list(_parts(task, loss, weight, output, ()))


def _parts(task, loss, weight, output, path):
    if loss is None:
        return
    several = isinstance(loss, list | tuple)
    if is_nested(output) and not (several or is_dict(loss)):
        loss = type_of(output, loss)
    elif several and not is_nested(output):
        weights = _weights(task, weight, range(len(loss)), path)
        for part, one in zip(loss, weights, strict=True):
            yield from _parts(task, part, one, output, path)
        return
    if not is_nested(loss):
        if is_nested(weight):
            raise ValueError(
                f"{_at(task, path)} has one loss, but several loss weights. "
                "Pass one number."
            )
        yield LossPart(path, loss, weight)
        return
    keys = _keys(task, "loss", loss, output, path)
    for key, one in zip(keys, _weights(task, weight, keys, path), strict=True):
        yield from _parts(task, loss[key], one, output[key], (*path, key))


def _weights(task, weight, keys, path):
    """Returns the weight of each key; 1 where none is given."""
    if not is_nested(weight):
        return [weight] * len(keys)
    if is_dict(weight):
        for key in weight:
            if key not in keys:
                raise ValueError(
                    f"{_at(task, path)} has a loss weight for {key!r}, but no "
                    f"loss of that name. Losses: {list(keys)}."
                    f"{did_you_mean(key, keys)}"
                )
        return [weight.get(key, 1.0) for key in keys]
    if len(weight) != len(keys):
        raise ValueError(
            f"{_at(task, path)} has {len(keys)} losses, but {len(weight)} "
            "loss weights. Pass one for each."
        )
    return list(weight)


def _keys(task, what, given, output, path):
    """Returns the keys of `given`, which must be among those of `output`."""
    if is_dict(given) != is_dict(output) or not is_nested(output):
        raise ValueError(
            f"The {what} of {_at(task, path).lower()} is not nested as its "
            f"predictions are. Expected: {outline(output)}. Received: "
            f"{outline(given)}"
        )
    if not is_dict(given):
        if len(given) != len(output):
            raise ValueError(
                f"{_at(task, path)} predicts {len(output)} tensors. Expected: "
                f"a {what} for each, or None. Received: {len(given)}"
            )
        return range(len(given))
    for key in given:
        if key not in output:
            raise ValueError(
                f"{_at(task, path)} has a {what} for {key!r}, but predicts no "
                f"tensor of that name. Predictions: {list(output)}."
                f"{did_you_mean(key, output)}"
            )
    return list(given)


def at_path(tree, path):
    """Returns the part of a nested structure, or `None` if it is not there.

    A tensor on the way is that of all parts below it.
    """
    for key in path:
        if not is_nested(tree):
            return tree
        if is_dict(tree):
            tree = tree.get(key)
        elif isinstance(key, int) and key < len(tree):
            tree = tree[key]
        else:
            return None
    return tree


def leaves(tree, path=()):
    """Yields `(path, tensor)` of each tensor in a nested structure."""
    if not is_nested(tree):
        yield path, tree
        return
    for key, part in tree.items() if is_dict(tree) else enumerate(tree):
        yield from leaves(part, (*path, key))


def part_name(task, path) -> str:
    """Returns the name of a part in errors and logs."""
    return "_".join(map(str, (task, *path)))


def is_dict(tree) -> bool:
    """Whether it is a dict of parts; a serialized Keras object is none."""
    return isinstance(tree, Mapping) and "class_name" not in tree


def is_nested(tree) -> bool:
    """Whether it is a dict, list or tuple of parts."""
    return is_dict(tree) or isinstance(tree, list | tuple)


def type_of(output, value):
    """Returns a structure like that of the output, `value` in each place."""
    if is_dict(output):
        return dict.fromkeys(output, value)
    return [value] * len(output)


def outline(tree) -> str:
    """Returns how a structure is nested, without its contents."""
    if is_dict(tree):
        inner = (f"{key!r}: {outline(part)}" for key, part in tree.items())
        return "{" + ", ".join(inner) + "}"
    if isinstance(tree, list | tuple):
        return "[" + ", ".join(map(outline, tree)) + "]"
    shape = getattr(tree, "shape", None)
    if shape is not None:
        return f"array {tuple(shape)}"
    return "..." if tree is not None else "None"


def _at(task, path):
    if not path:
        return f"Task {task!r}"
    return f"Task {task!r}, part {part_name('', path)[1:]!r},"
