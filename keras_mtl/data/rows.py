"""The rows of one task, as a data set that can be shuffled and batched."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf

from keras_mtl.data.arrays import as_arrays

# Rows of a `tf.data.Dataset` held for shuffling; arrays shuffle whole.
SHUFFLE_BUFFER = 10_000


class TaskRows(NamedTuple):
    """The rows of one task.

    Attributes:
        dataset: `tf.data.Dataset` of single rows, or of row numbers.
        num_rows: Integer, its length.
        shuffle_buffer: Integer, rows held while shuffling.
        finish: Turns the batched `dataset` into batches `(x, y)` or
            `(x, y, sample_weight)`.
        weighted: Boolean, whether there are sample weights.
    """

    dataset: tf.data.Dataset
    num_rows: int
    shuffle_buffer: int
    finish: Callable
    weighted: bool


def task_rows(data):
    """Returns `{task: TaskRows}` for the `data` of `task_batches`."""
    if not isinstance(data, dict) or not data:
        raise ValueError(
            "Argument `data` must be a dict {task: (x, y)} with at least one "
            f"task. Received: {type(data).__name__} {data!r:.80}"
        )
    return {task: _rows(task, value) for task, value in data.items()}


def _rows(task, value):
    if isinstance(value, tf.data.Dataset):
        return _dataset_rows(task, value)
    _check_parts(task, value, type(value).__name__)
    tensors = tf.nest.map_structure(_tensor, as_arrays(value))
    rows = {
        int(t.shape[0]) if t.shape.rank else 0 for t in tf.nest.flatten(tensors)
    }
    num_rows = min(rows)
    if len(rows) != 1 or num_rows == 0:
        raise ValueError(
            f"Task {task!r}: inputs, labels and weights must have the same "
            "number of rows, at least 1. Received numbers of rows: "
            f"{sorted(rows)}"
        )

    def gather(numbers):
        return tf.nest.map_structure(lambda t: tf.gather(t, numbers), tensors)

    # Row numbers are shuffled and whole batches gathered: the full shuffle of
    # a large array costs neither its memory twice nor a step per row.
    return TaskRows(
        dataset=tf.data.Dataset.range(num_rows),
        num_rows=num_rows,
        shuffle_buffer=num_rows,
        finish=lambda batches: batches.map(gather, tf.data.AUTOTUNE),
        weighted=len(tensors) == 3,
    )


def _dataset_rows(task, dataset):
    _check_parts(task, dataset.element_spec, "a tf.data.Dataset of such")
    num_rows = int(dataset.cardinality())
    if num_rows <= 0:
        known = {-1: "infinite", -2: "unknown"}.get(num_rows, num_rows)
        raise ValueError(
            f"Task {task!r}: the data set's number of rows must be known and "
            f"at least 1. Received: {known}. Count n rows and call "
            ".apply(tf.data.experimental.assert_cardinality(n)) on it."
        )
    return TaskRows(
        dataset=dataset,
        num_rows=num_rows,
        shuffle_buffer=min(num_rows, SHUFFLE_BUFFER),
        finish=lambda batches: batches,
        weighted=len(dataset.element_spec) == 3,
    )


def _check_parts(task, parts, received):
    if not isinstance(parts, tuple) or len(parts) not in (2, 3):
        raise ValueError(
            f"Task {task!r}: the data must be a tuple (x, y) or "
            f"(x, y, sample_weight), or a tf.data.Dataset of such. "
            f"Received: {received}"
        )


def _tensor(array):
    """Returns a tensor; floats in Keras' float type."""
    tensor = tf.convert_to_tensor(array)
    if tensor.dtype.is_floating:
        tensor = tf.cast(tensor, keras.config.floatx())
    return tensor
