"""The main task of methods whose other tasks are there to help it."""

from collections.abc import Iterable

from keras_mtl.checks import did_you_mean, integer


def checked_primary(primary):
    """Returns a task's name or position, or `None`, if it can be one.

    Raises:
        ValueError: If it is neither.
    """
    if primary is None or isinstance(primary, str):
        return primary
    if isinstance(primary, Iterable):
        raise ValueError(
            "Argument `primary` must be one task: its name, its position, from "
            f"0, or None. Received: primary={primary!r}"
        )
    return integer("primary", primary, 0)


def _check_others(weighter, num_tasks):
    # A weighter tried on plain arrays may have one task, as any other.
    alone = num_tasks == 1
    if not alone or (weighter.primary is None and weighter.task_names is None):
        return
    name = type(weighter).__name__
    raise ValueError(
        f"{name}(primary={weighter.primary!r}) trains a task with the help of "
        f"others, and there are none. Expected: two tasks or more. Received: "
        f"{list(weighter.task_names or ()) or 'one task'}. Add an auxiliary "
        "task, or use weighter='uniform'."
    )


def primary_position(weighter, num_tasks):
    """Returns where the main task of a weighter stands among its tasks.

    Args:
        weighter: `Weighter` with a `primary`: a task's name, its position, or
            `None` for the first.
        num_tasks: Integer, the number of tasks K.

    Raises:
        ValueError: If there is no such task, or no other one to help it.
    """
    primary, names = weighter.primary, weighter.task_names
    if primary is None:
        _check_others(weighter, num_tasks)
        return 0
    if isinstance(primary, str):
        if names is None:
            raise ValueError(
                "Outside a model tasks have no names: argument `primary` must "
                "be a position, from 0, or None for the first task. "
                f"Received: primary={primary!r}"
            )
        if primary in names:
            _check_others(weighter, num_tasks)
            return names.index(primary)
        raise ValueError(
            f"Argument `primary` must be one of the tasks {list(names)}. "
            f"Received: primary={primary!r}.{did_you_mean(primary, names)}"
        )
    if primary >= num_tasks:
        raise ValueError(
            f"Argument `primary` must be a task's name, or its position below "
            f"{num_tasks}. Received: primary={primary}"
        )
    _check_others(weighter, num_tasks)
    return primary
