"""Support rows, which train the model, and query rows, which judge weights."""

import math
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.checks import did_you_mean, fraction
from keras_mtl.data.arrays import as_arrays
from keras_mtl.data.stratify import multi_stratified_split
from keras_mtl.tasks.loss_parts import at_path, is_nested, leaves


class SupportQuery(NamedTuple):
    """One element of a data set with query data, or the two sets whole.

    Example:

    >>> batch = SupportQuery(support=(x_a, y_a), query=(x_b, y_b))
    >>> dataset = tf.data.Dataset.from_tensors(batch)

    Attributes:
        support: `(x, y)` or `(x, y, sample_weight)` that trains the model.
        query: The same for rows that the training does not see.
    """

    support: Any
    query: Any


def support_query_split(
    x: Any,
    y: Mapping[str, Any],
    sample_weight: Mapping[str, Any] | None = None,
    query_split: float = 0.1,
    seed: int = 0,
    separate: bool | None = None,
):
    """Splits each task's rows at random into a support and a query set.

    Integer, boolean and string labels of shape `(n,)` or `(n, 1)` are
    stratified: each class keeps its share, and a class of one row stays in
    the support set. Rows with other labels (floats, maps) are split at random.

    Separate inputs, `x = {task: inputs}` with the keys of `y`, are split task
    by task. Shared inputs are split once: on the combinations of all tasks'
    classes where each has rows enough, otherwise so that each task's classes
    nearly keep their shares. A missing label (NaN, or of weight 0) counts as a
    class of its own, so that each task finds labels in both sets.

    Example:

    >>> support, query = support_query_split(x, {"topic": y}, query_split=0.2)
    >>> x_query, y_query, _ = query

    Args:
        x: Inputs: arrays, or dicts or tuples of arrays, `n` rows each; or
            `{task: inputs}`.
        y: `{task: labels}`.
        sample_weight: `{task: weights}`, for some or all tasks, or None.
        query_split: Float between 0 and 1, both excluded. Share of the rows
            that go to the query set.
        seed: Integer. The same seed gives the same split.
        separate: Boolean, whether `x` is a dict of each task's own inputs; by
            default, if its keys are those of `y`.

    Returns:
        `SupportQuery(support, query)`, each `(x, y, sample_weight)`, where
        `sample_weight` is None if None was given. Rows keep their order.

    Raises:
        ValueError: If `query_split` is out of range, numbers of rows differ,
            or a task is left without a query row.
    """
    share = fraction("query_split", query_split)
    if not isinstance(y, dict) or not y:
        raise ValueError(
            "Argument `y` must be a dict {task: labels}. "
            f"Received: {type(y).__name__}"
        )
    y = {task: as_arrays(labels) for task, labels in y.items()}
    weights = _weight_arrays(sample_weight, y)
    if separate is None:
        separate = isinstance(x, dict) and x.keys() == y.keys()
    x = as_arrays(x)
    inputs = {task: x[task] if separate else x for task in y}
    for task, labels in y.items():
        check_rows(task, inputs[task], labels, weights.get(task))
    sides = _split_rows(y, weights, separate, share, seed)

    def take(rows):
        return (
            {task: _take(inputs[task], rows[task]) for task in y}
            if separate
            else _take(x, next(iter(rows.values()))),
            {task: _take(labels, rows[task]) for task, labels in y.items()},
            {task: _take(w, rows[task]) for task, w in weights.items()} or None,
        )

    return SupportQuery(*map(take, sides))


def zip_support_query(
    support: tf.data.Dataset, query: tf.data.Dataset
) -> tf.data.Dataset:
    """Joins a support and a query data set into one of `SupportQuery`.

    The support set decides the length; the query set is repeated as often as
    needed. Each iteration of the result starts both anew, so shuffle the query
    set (`reshuffle_each_iteration=True`, the default). To let the query
    batches go on from epoch to epoch, repeat the support set without end and
    pass `steps_per_epoch` to `fit()`.

    Example:

    >>> dataset = zip_support_query(support.batch(32), query.batch(32))

    Args:
        support: `tf.data.Dataset` of batches `(x, y)` or
            `(x, y, sample_weight)`.
        query: `tf.data.Dataset` of batches, not empty.

    Returns:
        `tf.data.Dataset` of `SupportQuery` elements, as long as `support`.

    Raises:
        ValueError: If the query set is known to be empty.
    """
    if int(query.cardinality()) == 0:
        raise ValueError(
            "The query data set must hold at least one batch. "
            "Received: one of 0 batches. With `drop_remainder=True`, check "
            "that the batch size is not above its number of rows."
        )
    return tf.data.Dataset.zip(SupportQuery(support, query.repeat()))


def _split_rows(y, weights, separate, fraction, seed):
    """Returns `({task: support rows}, {task: query rows})`."""
    classes = {task: row_classes(y[task], weights.get(task)) for task in y}
    if separate:
        # A stream of its own: other tasks do not change a task's split.
        sides = {
            task: _split_or_raise(
                {task: of_task},
                fraction,
                [seed, zlib.crc32(str(task).encode())],
            )
            for task, of_task in classes.items()
        }
    else:
        sides = dict.fromkeys(y, _split_or_raise(classes, fraction, [seed]))
    return [{task: sides[task][side] for task in y} for side in (0, 1)]


def _split_or_raise(classes, fraction, seed):
    """Splits rows on `{task: classes}`; each task must be on both sides."""

    def split(fraction):
        rng = np.random.default_rng(seed)
        return multi_stratified_split(table, fraction, rng)

    table = np.stack(list(classes.values()), axis=1)
    sides = split(fraction)
    for task, codes in classes.items():
        support, query = (int((codes[rows] >= 0).sum()) for rows in sides)
        if support and query:
            continue
        least = next(
            (
                f"{tried:g}"
                for tried in _larger_fractions(len(codes), fraction)
                if all((codes[rows] >= 0).any() for rows in split(tried))
            ),
            None,
        )
        raise ValueError(
            f"Task {task!r} is left with no {'query' if support else 'support'}"
            f" example. Received: query_split={fraction:g}, which splits its "
            f"{support + query} labelled examples into {support} for support "
            f"and {query} for query. "
            + (
                f"Pass query_split={least} or more."
                if least and support
                else "Give it more labelled examples, at least two of a class."
            )
        )
    return sides


def _larger_fractions(num_rows, fraction):
    """Yields fractions above `fraction`, of three digits, that add rows."""
    tried = max(0.5 / num_rows, fraction)
    while tried < 1.0:
        digit = 10.0 ** (math.floor(math.log10(tried)) - 2)
        rounded = math.ceil(round(tried / digit, 6)) * digit
        if fraction < rounded < 1.0:
            yield rounded
        tried = max(tried * 1.25, tried + 0.25 / num_rows)


def row_classes(labels, weight):
    """Returns `(n,)` class numbers, -1 for a missing label.

    Nested labels have those of their combinations.
    """
    if is_nested(labels):
        codes = np.stack(
            [
                row_classes(label, at_path(weight, path))
                for path, label in leaves(labels)
            ],
            axis=1,
        )
        both = np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1)
        return np.where((codes >= 0).any(axis=1), both, -1)
    flat = labels.reshape(len(labels), -1)
    if labels.dtype.kind in "biuSUO" and flat.shape[1] == 1:
        codes = np.unique(flat[:, 0], return_inverse=True)[1].reshape(-1)
    else:
        codes = np.zeros(len(labels), int)
    if labels.dtype.kind == "f":
        codes = np.where(np.isnan(flat).all(axis=1), -1, codes)
    if weight is not None:
        used = (weight.reshape(len(weight), -1) != 0).any(axis=1)
        codes = np.where(used, codes, -1)
    return codes


def _weight_arrays(sample_weight, y):
    """Returns `{task: array}`, or raises on an unknown task."""
    if sample_weight is None:
        return {}
    if not isinstance(sample_weight, dict):
        raise ValueError(
            "Argument `sample_weight` must be a dict {task: weights} or None. "
            f"Received: {type(sample_weight).__name__}"
        )
    for task in sample_weight:
        if task not in y:
            raise ValueError(
                f"Argument `sample_weight` names the unknown task {task!r}. "
                f"Tasks: {list(y)}.{did_you_mean(task, y)}"
            )
    return {task: as_arrays(w) for task, w in sample_weight.items()}


def check_rows(task, x, labels, weight):
    """Raises unless inputs, labels and weights of a task have equal rows."""
    arrays = {
        "inputs": keras.tree.flatten(x),
        "labels": keras.tree.flatten(labels),
    }
    if weight is not None:
        arrays["sample_weight"] = keras.tree.flatten(weight)
    rows = {
        name: sorted({(*np.shape(array), 0)[0] for array in group})
        for name, group in arrays.items()
    }
    if len(set().union(*rows.values())) != 1:
        raise ValueError(
            f"Task {task!r}: inputs, labels and weights must have the same "
            "number of rows. Received: "
            + ", ".join(f"{name} {n}" for name, n in rows.items())
        )


def _take(tree, rows):
    """Returns the given rows of every array of a nested structure."""
    return keras.tree.map_structure(lambda array: array[rows], tree)
