"""Batches for `fit` with other query rows in each epoch."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.data.arrays import as_arrays
from keras_mtl.data.structures import without_none
from keras_mtl.data.support_query import SupportQuery


class Epoch:
    """Which epoch the batches are of; told when it begins.

    Args:
        num_folds: Integer.

    Attributes:
        number: Integer, the epochs that are finished.
    """

    def __init__(self, num_folds):
        self.number, self._num_folds = 0, num_folds

    def log(self) -> dict:
        """Returns what History says of the epoch."""
        return {"query_fold": self.number % self._num_folds}


class Sizes(NamedTuple):
    """How many rows batches have, and how many batches an epoch.

    Attributes:
        support: Integer, rows of a support batch; of each task, where these
            have rows of their own.
        query: Integer, the same of a query batch.
        steps: Integer, or `None` for one pass over the most support rows.
    """

    support: int
    query: int
    steps: int | None = None


def rotating_batches(arrays, rotating, separate, sizes, shuffle):
    """Returns a data set of `SupportQuery` batches, and the `Epoch` to set.

    Each iteration starts the epoch that is set then. Its batches follow from
    its number and the seed, which is drawn from NumPy's global state, so that
    training that goes on after a kill sees those that were left.

    Args:
        arrays: `(x, y, sample_weight)`; the last may be `None`, or lack tasks.
        rotating: `{task: Rotation}`; with common rows, of any one task.
        separate: Boolean, whether each task has rows of its own.
        sizes: `Sizes`.
        shuffle: Boolean. Whether rows of an epoch are in random order.
    """
    streams = _streams(arrays, separate)
    rotations = [*rotating.values()][: len(streams)]
    most = max(rotation.most_support for rotation in rotations)
    steps = sizes.steps or -(-most // sizes.support)
    epoch = Epoch(rotations[0].num_folds)
    seed = int(np.random.randint(2**31)) if shuffle else None

    def numbers():
        folds = [
            rotation.rows(
                epoch.number,
                _count(rotation, epoch.number, sizes, steps),
                steps * sizes.query,
                None if seed is None else [seed, index],
            )
            for index, rotation in enumerate(rotations)
        ]
        for step in range(steps):
            yield tuple(
                rows[step * size : (step + 1) * size]
                for side, size in enumerate((sizes.support, sizes.query))
                for rows in (fold[side] for fold in folds)
            )

    def gather(*rows):
        half = len(streams)
        return SupportQuery(
            *(
                _joined(
                    [
                        tf.nest.map_structure(lambda a, r=r: tf.gather(a, r), s)
                        for s, r in zip(streams, part, strict=True)
                    ],
                    list(arrays[1]) if separate else None,
                )
                for part in (rows[:half], rows[half:])
            )
        )

    spec = (tf.TensorSpec((None,), tf.int64),) * (2 * len(streams))
    batches = (
        tf.data.Dataset.from_generator(numbers, output_signature=spec)
        .map(gather, tf.data.AUTOTUNE)
        .apply(tf.data.experimental.assert_cardinality(steps))
        .prefetch(tf.data.AUTOTUNE)
    )
    return batches, epoch


def _count(rotation, number, sizes, steps):
    """Returns how many support rows an epoch reads: one pass, or all steps."""
    own = len(rotation.epoch(number).support)
    one_pass = sizes.steps is None and -(-own // sizes.support) == steps
    return own if one_pass else steps * sizes.support


def _streams(arrays, separate):
    """Returns one `(x, y, ...)` for all tasks, or one for each task."""
    x, y, weights = arrays
    weights = without_none(weights)
    if not separate:
        whole = (x, y) if weights is None else (x, y, weights)
        return [keras.tree.map_structure(_tensor, as_arrays(whole))]
    weights = weights or {}
    own = [(x[t], y[t], *([weights[t]] if t in weights else ())) for t in y]
    return [keras.tree.map_structure(_tensor, as_arrays(part)) for part in own]


def _joined(parts, tasks):
    """Returns `(x, y)` or `(x, y, sample_weight)` of one batch."""
    if tasks is None:
        return parts[0]
    joined = [
        {t: part[i] for t, part in zip(tasks, parts, strict=True) if part[i:]}
        for i in range(3)
    ]
    return tuple(joined[:2] if not joined[2] else joined)


def _tensor(array):
    array = np.asarray(array)
    if array.dtype.kind == "f":
        array = array.astype(keras.config.floatx())
    return tf.convert_to_tensor(array)
