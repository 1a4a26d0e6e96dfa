"""Training batches that are a function of seed and epoch alone.

A run that goes on after a kill must see the batches it would have seen.
"""

import numpy as np
import tensorflow as tf

from keras_mtl.data.support_query import SupportQuery


def shuffled_rows(num_rows, first, count, seed):
    """Returns a stretch of an endless stream of shuffled passes.

    Args:
        num_rows: Integer, rows of one pass.
        first: Integer, position in the stream to start at.
        count: Integer, length of the stretch.
        seed: List of integers that names the stream.

    Returns:
        `(count,)` int64 row numbers.
    """
    passes = range(first // num_rows, (first + count - 1) // num_rows + 1)
    orders = [
        np.random.default_rng([*seed, number]).permutation(num_rows)
        for number in passes
    ]
    start = first - passes.start * num_rows
    return np.concatenate(orders)[start : start + count]


def steps_per_epoch(support, batch_size, separate, rotating=None):
    """Returns the number of batches that pass over the longest task once.

    Args:
        support: `(x, y)` or `(x, y, None)`.
        batch_size: Integer.
        separate: Boolean, whether the tasks have inputs of their own.
        rotating: `{task: Rotation}` of the rows that train, or None for all.
    """
    _, y, *_ = support
    sizes = [len(labels) for labels in tf.nest.flatten(y)]
    if rotating is not None:
        sizes = [rotation.most_support for rotation in rotating.values()]
    return -(-(max(sizes) if separate else sizes[0]) // batch_size)


def epoch_batches(
    data,
    batch_size,
    first_epoch,
    epochs,
    seed,
    separate,
    augment=None,
    rotating=None,
):
    """Makes the batches of the epochs from `first_epoch` on.

    Every batch is full. Query batches, and those of tasks with fewer rows, go
    on from one epoch to the next; where query rows change, they start anew.

    Args:
        data: `SupportQuery` of `(x, y)` or `(x, y, sample_weight)`, where the
            weights are None or a dict, of some tasks or all; its query may be
            None.
        batch_size: Integer, rows of a batch; with separate inputs, of each
            task.
        first_epoch: Integer, number of epochs already done.
        epochs: Integer, number of epochs in all.
        seed: Integer.
        separate: Boolean, whether the tasks have inputs of their own.
        augment: Function of a support batch and a seed, `(2,)` int32 that
            differs from step to step, to another batch; or None.
        rotating: `{task: Rotation}` by which rows of `data.support`, in place
            of `data.query`, are query rows; or None.

    Returns:
        `tf.data.Dataset` of `(x, y)`, of `(x, y, sample_weight)` where there
        are weights, or of `SupportQuery` of these.
    """
    steps = steps_per_epoch(data.support, batch_size, separate, rotating)
    if rotating is not None:
        data = SupportQuery(data.support, data.support)
    sides = [_streams(side, separate) for side in data if side is not None]
    streams = [stream for side in sides for stream in side]
    sizes = [len(tf.nest.flatten(stream)[0]) for stream in streams]

    def numbers(epoch):
        count = steps * batch_size
        if rotating is not None:
            folds = [
                rotation.rows(int(epoch), count, count, [seed, index])
                for index, rotation in enumerate(rotating.values())
            ][: len(sides[0])]
            return [
                rows.reshape(steps, batch_size)
                for side in zip(*folds, strict=True)
                for rows in side
            ]
        return [
            shuffled_rows(
                size, int(epoch) * count, count, [seed, index]
            ).reshape(steps, batch_size)
            for index, size in enumerate(sizes)
        ]

    def of_epoch(epoch):
        rows = tf.numpy_function(numbers, [epoch], [tf.int64] * len(sizes))
        shape = (steps, batch_size)
        rows = tuple(tf.ensure_shape(r, shape) for r in rows)
        step = epoch * steps + tf.range(steps, dtype=tf.int64)
        return tf.data.Dataset.from_tensor_slices((step, rows))

    def gather(step, rows):
        parts = [
            tf.nest.map_structure(lambda t, r=r: tf.gather(t, r), stream)
            for stream, r in zip(streams, rows, strict=True)
        ]
        first = len(sides[0])
        batches = [
            _joined(p, data.support[1]) if separate else p[0]
            for p in (parts[:first], parts[first:])
            if p
        ]
        if augment is not None:
            first_seed = tf.constant([seed, 0], tf.int32)
            own_seed = tf.random.fold_in(first_seed, step)
            batches[0] = augment(batches[0], own_seed)
        return SupportQuery(*batches) if len(batches) == 2 else batches[0]

    return (
        tf.data.Dataset.range(first_epoch, epochs)
        .flat_map(of_epoch)
        .map(gather, tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )


def _streams(side, separate):
    """Returns what all tasks have, or what each has; weights come last."""
    x, y, *rest = side
    weights = rest[0] if rest else None
    if separate:
        of = weights or {}
        whole = [
            (x[task], y[task], *([of[task]] if task in of else []))
            for task in y
        ]
    else:
        none = weights is None or (isinstance(weights, dict) and not weights)
        given = [] if none else [weights]
        whole = [(x, y, *given)]
    return [tf.nest.map_structure(tf.convert_to_tensor, part) for part in whole]


def _joined(parts, tasks):
    by_task = dict(zip(tasks, parts, strict=True))
    sides = [
        {task: part[i] for task, part in by_task.items() if i < len(part)}
        for i in (0, 1, 2)
    ]
    return tuple(side for side in sides if side)
