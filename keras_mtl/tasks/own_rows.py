"""Rows that belong to one task each, by ids beside the inputs."""

import reprlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.data.rotation import Rotation, num_folds, rotations
from keras_mtl.data.support_query import support_query_split

KEYS = {"inputs", "task"}


class RowLabels(NamedTuple):
    """Labels of rows that belong to one task each.

    Attributes:
        values: `(B,)` or `(B, units)`.
        tasks: `(B,)` int32, the number of each row's task.
    """

    values: Any
    tasks: Any


class Owners(NamedTuple):
    """Which task alone reads which part of the representation.

    Attributes:
        tasks: `(n,)` int32, the number of the task that each part serves.
        axis: Integer, the axis of the representation that has the n parts: 0
            for rows.
    """

    tasks: Any
    axis: int


def has_ids(x) -> bool:
    """Whether `x` is `{"inputs": ..., "task": ids}`."""
    return isinstance(x, Mapping) and set(x) == KEYS


def checked_ids(ids, inputs, heads) -> np.ndarray:
    """Returns the tasks of all rows as int32, of integers or names.

    Args:
        ids: Array or list, `(n,)` or `(n, 1)`.
        inputs: Inputs of n rows.
        heads: `StackedHeads`.

    Raises:
        ValueError: If ids are not integers in range or known names, or not
            one for each row.
    """
    ids = np.asarray(ids)
    if ids.ndim == 2 and ids.shape[1] == 1:
        ids = ids[:, 0]
    rows = len(keras.tree.flatten(inputs)[0])
    if ids.shape != (rows,):
        raise ValueError(
            "Pass one task for each row of the inputs. Expected: an array "
            f"({rows},). Received: one of shape {ids.shape}."
        )
    if ids.dtype.kind in "USO":
        return heads.task_ids(ids)
    check_dtype(ids.dtype)
    outside = np.flatnonzero((ids < 0) | (ids >= len(heads.task_names)))
    if len(outside):
        row = outside[0]
        raise ValueError(
            f"Row {row} belongs to the task {ids[row]}, which does not exist. "
            f"Expected: integers from 0 to {len(heads.task_names) - 1}, or "
            f"task names. Received {len(outside)} rows of other numbers, such "
            f"as {reprlib.repr(np.unique(ids[outside]).tolist())}."
        )
    return ids.astype("int32")


def check_dtype(dtype):
    """Raises unless ids are integers."""
    dtype = keras.backend.standardize_dtype(dtype)
    if "int" not in dtype:
        raise ValueError(
            "The tasks of rows must be integers, numbers of the task names in "
            f"their order. Received: {dtype}. Cast them, or turn names into "
            "numbers by model.heads.task_ids(names)."
        )


def sum_by_task(values, tasks, num_tasks):
    """Returns the sums `(K, ...)` of rows `(B, ...)` by task.

    A row of no known task makes a sum NaN: XLA would leave it out.
    """
    known = (tasks >= 0) & (tasks < num_tasks)
    after = (..., *[None] * (values.shape.rank - 1))
    values = tf.where(
        known[after], values, tf.constant(float("nan"), values.dtype)
    )
    tasks = tf.clip_by_value(tasks, 0, num_tasks - 1)
    return tf.math.unsorted_segment_sum(values, tasks, num_tasks)


def _by_task(arrays, task_names):
    """Returns dicts of row numbers, labels and weights, or None for these."""
    x, y, weight = arrays
    rows = _rows_of_tasks(x["task"], task_names)
    labels = {task: np.asarray(y)[n] for task, n in rows.items()}
    if weight is None:
        return rows, labels, None
    weights = {task: np.asarray(weight)[n] for task, n in rows.items()}
    return rows, labels, weights


def split_rows_by_task(arrays, task_names, query_split):
    """Returns row numbers of support and query, each task split alone.

    Args:
        arrays: `(x, y, sample_weight)` with ids beside the inputs.
        task_names: Tuple of K strings.
        query_split: Float, each task's share of query rows.
    """
    rows, labels, weights = _by_task(arrays, task_names)
    sides = support_query_split(rows, labels, weights, query_split=query_split)
    return [np.sort(np.concatenate(list(x.values()))) for x, *_ in sides]


def rotation_by_task(arrays, task_names, query_split) -> Rotation:
    """Returns the `Rotation` of all rows, each task's dealt out alone.

    Args:
        arrays: `(x, y, sample_weight)` with ids beside the inputs.
        task_names: Tuple of K strings.
        query_split: Float, one over the number of folds.
    """
    rows, labels, weights = _by_task(arrays, task_names)
    found = rotations(labels, weights, query_split, seed=0, separate=True)
    folds = np.empty(len(arrays[1]), "int64")
    for task, numbers in rows.items():
        folds[numbers] = found[task].numbers
    return Rotation(folds, num_folds(query_split))


def split_ends(tasks, task_names, share):
    """Returns the numbers of all rows but each task's last, and of these.

    Args:
        tasks: `(n,)` integers.
        task_names: Tuple of K strings.
        share: Float, of each task's rows.
    """
    halves = [], []
    for numbers in _rows_of_tasks(tasks, task_names).values():
        cut = int(np.floor(len(numbers) * (1.0 - share)))
        for half, part in zip(
            halves, (numbers[:cut], numbers[cut:]), strict=True
        ):
            half.append(part)
    return [np.sort(np.concatenate(half)) for half in halves]


def take_rows(arrays, numbers):
    """Returns these rows of all arrays of a structure; `None` stays."""
    return keras.tree.map_structure(
        lambda a: None if a is None else np.asarray(a)[numbers], arrays
    )


def without_rows(tasks, task_names) -> list:
    """Returns the names of the tasks that no row belongs to."""
    there = np.bincount(tasks, minlength=len(task_names)) > 0
    return [
        t for t, any_row in zip(task_names, there, strict=True) if not any_row
    ]


def _rows_of_tasks(tasks, task_names):
    """Returns `{task: row numbers}` of the tasks that have rows."""
    order = np.argsort(tasks, kind="stable")
    counts = np.bincount(tasks, minlength=len(task_names))
    parts = np.split(order, np.cumsum(counts)[:-1])
    named = zip(task_names, parts, strict=True)
    return {task: numbers for task, numbers in named if len(numbers)}
