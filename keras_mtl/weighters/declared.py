"""Which signals a weighter asks for: the parameters of its methods."""

import inspect

from keras_mtl.checks import did_you_mean
from keras_mtl.signals import SIGNALS, known_signals


def parameters(method) -> dict:
    """Returns the signals among the parameters of a method, by name.

    Args:
        method: Function, or its `inspect.Signature`.
    """
    if not isinstance(method, inspect.Signature):
        method = inspect.signature(method)
    return {
        name: parameter
        for name, parameter in method.parameters.items()
        if name != "self" and parameter.kind is not parameter.VAR_KEYWORD
    }


def measured(method) -> tuple[str, ...]:
    """Returns the signals that the training step passes to a method."""
    return tuple(
        name
        for name, parameter in parameters(method).items()
        if parameter.default is parameter.empty or name == "present"
    )


# What whoever calls a weighter knows anyway.
KNOWN = ("present", "epoch", "learning_rate")


def without_unread(signature, given) -> dict:
    """Returns arguments without what is always known and not read here."""
    read = parameters(signature)
    return {n: v for n, v in given.items() if n in read or n not in KNOWN}


def check_signals(cls, method_name):
    """Raises if `call` or `observe` of a class asks for an unknown signal.

    Raises:
        TypeError: With the nearest known name.
    """
    known = known_signals(method_name)
    for name in parameters(getattr(cls, method_name)):
        if name not in known:
            raise TypeError(
                f"{cls.__name__}.{method_name}() asks for the unknown signal "
                f"{name!r}. Known signals: {', '.join(known)}."
                f"{did_you_mean(name, known)}"
            )


def check_serves(weighter, num_tasks, task_names, sizes):
    """Raises if a weighter already serves other tasks, or another model.

    Args:
        weighter: A `Weighter` that knows its tasks.
        num_tasks: Integer, the number of tasks K.
        task_names: Tuple of K strings, or `None`.
        sizes: Dict of the lengths of `model_axes`, `None` where not known.
    """
    name, known = type(weighter).__name__, weighter.task_names
    mine = (weighter.task_weights.shape[0], known or task_names)
    if mine != (num_tasks, task_names or known):
        raise ValueError(
            f"{name} already weighs {mine[0]} tasks {list(mine[1] or ())}; it "
            f"cannot serve {num_tasks} tasks {list(task_names or ())}. Make a "
            "new weighter."
        )
    old = {axis: weighter.sizes.get(axis) for axis in sizes}
    if weighter.built and None not in sizes.values() and sizes != old:
        raise ValueError(
            f"{name} already serves a scope of other sizes. Expected: {old}. "
            f"Received: {sizes}. Make a new weighter."
        )


def axis_lengths(signals) -> dict[str, int]:
    """Returns the length of each axis of signals, a dict by name."""
    return {
        axis: length
        for name, signal in signals.items()
        for axis, length in zip(SIGNALS[name].axes, signal.shape, strict=True)
    }


def build_arguments(weighter, num_tasks, sizes) -> dict[str, tuple]:
    """Returns the shapes that a weighter's `build` asks for, by name.

    Args:
        weighter: `Weighter`.
        num_tasks: Integer, the number of tasks K.
        sizes: Dict of the lengths of `model_axes`.
    """
    signals = {
        **parameters(weighter.signature(type(weighter).call)),
        **dict.fromkeys(weighter.observes),
    }
    shapes = {
        f"{name}_shape": SIGNALS[name].shape(num_tasks, sizes)
        for name in signals
        if set(SIGNALS[name].axes) <= {"task", *sizes}
    }
    wanted = list(inspect.signature(weighter.build).parameters)
    if len(wanted) == 1 and wanted[0] not in shapes:
        shapes[wanted[0]] = next(iter(shapes.values()))
    return {name: shapes[name] for name in wanted}
