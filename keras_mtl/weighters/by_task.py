"""Arguments that are given once, as a list, or as a dict by task."""

from collections.abc import Mapping, Sequence

import numpy as np

# In the order of the heads, or by their names.
ByTask = Sequence[float] | Mapping[str, float]


def by_task(name, values, num_tasks, task_names):
    """Returns one value per task, in head order.

    Args:
        name: String, the argument's name for the error message.
        values: One value for all tasks, a list in the order of the heads, or
            a dict from task name to value.
        num_tasks: Integer, the number of tasks K.
        task_names: Tuple of K strings, or `None` outside a model.

    Returns:
        List of K values.

    Raises:
        ValueError: If the values do not match the tasks.
    """
    if isinstance(values, dict):
        task_names = named(name, values, num_tasks, task_names)
        if set(values) != set(task_names):
            raise ValueError(
                f"Argument `{name}` must name the model's tasks {task_names}. "
                f"Received: {name}={dict(values)}"
            )
        return [values[task] for task in task_names]
    if not _is_list(values):
        return [values] * num_tasks
    if len(values) != num_tasks:
        raise ValueError(
            f"Argument `{name}` must have one entry for each of the "
            f"{num_tasks} tasks. Received: {name}={list(values)}"
        )
    return list(values)


def named(name, values, num_tasks, task_names):
    """Returns the tasks' names as a list, or raises where they have none."""
    if task_names is None:
        raise ValueError(
            f"Outside a model tasks have no names: argument `{name}` must be "
            f"a list with one entry for each of the {num_tasks} tasks. "
            f"Received: {name}={dict(values)}"
        )
    return list(task_names)


def map_values(function, values):
    """Returns `values` in the same form, with `function` applied to each."""
    if isinstance(values, dict):
        return {task: function(value) for task, value in values.items()}
    if _is_list(values):
        return [function(value) for value in values]
    return function(values)


def _is_list(values):
    """Whether there is one for each task: a list, or an array of one axis."""
    return isinstance(values, list | tuple) or len(np.shape(values)) == 1
