"""Whether labels and sample weights fit stacked heads."""

from collections.abc import Mapping

import keras


def check_labels(heads, shape, dtype):
    """Raises unless labels are one array of all tasks.

    Args:
        heads: `StackedHeads`.
        shape: Tuple, that of the labels.
        dtype: Their dtype.
    """
    num_tasks, units = len(heads.task_names), heads.units
    if tuple(shape[1:]) not in ((num_tasks,), (num_tasks, units)):
        raise ValueError(
            "Labels of stacked heads must have the shape "
            f"{expected(heads)}, in the order of the task names. "
            f"Received: {tuple(shape)} of "
            f"{keras.backend.standardize_dtype(dtype)}. Labels (B,) of rows "
            "that belong to one task each need the tasks beside the inputs: "
            'x = {"inputs": ..., "task": ids}, or fit(..., task=ids).'
        )


def check_weights(heads, sample_weight):
    """Raises unless sample weights are of rows, or of all tasks."""
    num_tasks = len(heads.task_names)
    shape = getattr(sample_weight, "shape", None)
    if shape is None or tuple(shape[1:]) not in ((), (1,), (num_tasks,)):
        raise ValueError(
            "Sample weights of stacked heads must be one array (B,) or "
            f"(B, {num_tasks}). Received: {described(sample_weight)}"
        )


def check_rows(heads, y, sample_weight, tasks):
    """Raises unless labels and weights are those of one task for each row.

    Args:
        heads: `StackedHeads`.
        y: Labels.
        sample_weight: Sample weights, or `None`.
        tasks: The tasks of the rows.
    """
    if len(tasks.shape) != 1:
        raise ValueError(
            "The tasks of rows must be one integer for each row. Received: "
            f"an array of shape {tuple(tasks.shape)}"
        )
    shape = getattr(y, "shape", None)
    if shape is None or tuple(shape[1:]) not in ((), (1,), (heads.units,)):
        raise ValueError(
            "Labels of rows that belong to one task each must be one array "
            f"(B,) or (B, {heads.units}). Received: {described(y)}."
        )
    shape = getattr(sample_weight, "shape", (None,))
    if tuple(shape[1:]) not in ((), (1,)):
        raise ValueError(
            "Sample weights of rows that belong to one task each must be one "
            f"array (B,). Received: {described(sample_weight)}"
        )


def expected(heads) -> str:
    """Returns the shapes that labels of all tasks may have."""
    num_tasks, units = len(heads.task_names), heads.units
    if units == 1:
        return f"(B, {num_tasks})"
    return f"(B, {num_tasks}, {units}), or (B, {num_tasks}) of integers"


def described(given) -> str:
    """Returns what was given, for an error."""
    if given is None:
        return "none"
    if isinstance(given, Mapping):
        return f"a dict of {list(given)}"
    return str(tuple(getattr(given, "shape", ()))) or repr(given)
