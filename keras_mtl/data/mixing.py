"""Batches of several tasks whose data sets differ in size."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from keras_mtl.checks import above, at_least, integer, one_of
from keras_mtl.data.rows import task_rows
from keras_mtl.data.shares import allot_rows

SAMPLINGS = ("cycle", "proportional", "shortest", "once")


def task_batches(
    data: Mapping[str, tuple],
    batch_size: int,
    sampling: str = "cycle",
    alpha: float | Mapping[str, float] | None = None,
    steps_per_epoch: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    drop_remainder: bool = False,
) -> tf.data.Dataset:
    """Joins one data set per task into one whose batches have rows of each.

    `sampling` says how many rows of a task a batch holds, and when an epoch
    ends:

    - `"cycle"`: `batch_size` rows of each task. An epoch is one pass of the
      longest task; shorter ones start again, reshuffled, where they end.
    - `"proportional"`: K times `batch_size` rows in all, each task's share in
      proportion to its size to the power `alpha`, at least one row. An epoch
      is one pass of the task that takes the most batches; the others cycle.
    - `"shortest"`: as `"cycle"`, but the epoch ends with the shortest task.
    - `"once"`: every row exactly once and in order, for evaluation. Tasks that
      have ended give batches of zero rows.

    Each epoch is shuffled anew. The same seed (with the same global seed of
    TensorFlow, if one is set) gives the same epochs.

    Example:

    >>> dataset = task_batches({"a": (x_a, y_a), "b": (x_b, y_b)}, 32, seed=0)
    >>> model.fit(dataset, epochs=5, shuffle=False)

    Args:
        data: `{task: (x, y)}` or `{task: (x, y, sample_weight)}`. Each part is
            an array, `n` rows, and `x` may be a dict or tuple of arrays.
            Floats are cast to `keras.config.floatx()`, as `fit()` does. In
            place of the tuple, a `tf.data.Dataset` of such elements, which is
            not batched and has a known length; it is shuffled within 10,000
            rows.
        batch_size: Integer, rows per task and batch.
        sampling: String, one of the above.
        alpha: Float, at least 0, for `"proportional"`: 0 for equal shares, 1
            for shares like the sizes. By default 0.5. Or a dict from task name
            to its share, above 0, in any unit.
        steps_per_epoch: Integer, batches per epoch. With `"cycle"` and
            `"proportional"` every task then cycles; `"shortest"` only stops
            earlier.
        shuffle: Boolean. `"once"` never shuffles.
        seed: Integer. By default drawn from NumPy's global state, which
            `keras.utils.set_random_seed()` sets.
        drop_remainder: Boolean. Whether to leave out a last batch with fewer
            rows, so that all have the same shape.

    Returns:
        `tf.data.Dataset` of `({task: x}, {task: y})`, its cardinality known.
        If any task has sample weights there is a third dict, with ones for
        the tasks without.

    Raises:
        ValueError: If an argument is out of range or not used by `sampling`,
            or a task's number of rows is zero, unknown or not one number.
    """
    batch_size = integer("batch_size", batch_size, 1)
    one_of("sampling", sampling, SAMPLINGS)
    _refuse_unused(sampling, alpha, steps_per_epoch, drop_remainder)
    tasks = task_rows(data)
    sizes = np.array([task.num_rows for task in tasks.values()])
    rows = np.full(len(tasks), batch_size)
    if sampling == "proportional":
        rows = _shared_out(sizes, list(tasks), alpha, batch_size * len(tasks))
    passes = sizes // rows if drop_remainder else -(-sizes // rows)
    steps = _num_steps(sampling, tasks, passes, steps_per_epoch)
    forever = steps_per_epoch is not None and sampling != "shortest"
    if seed is None:
        seed = np.random.randint(2**31)
    seeds = np.random.SeedSequence(seed).generate_state(len(tasks))
    batches = {}
    for index, (name, task) in enumerate(tasks.items()):
        part = task.dataset
        if shuffle and sampling != "once":
            part = part.shuffle(task.shuffle_buffer, seed=int(seeds[index]))
        if sampling != "once" and (forever or passes[index] < steps):
            part = part.repeat()
        part = part.batch(rows[index], drop_remainder=drop_remainder)
        if passes[index] < steps and sampling == "once":
            part = part.concatenate(_empty(part, steps - passes[index]))
        batches[name] = task.finish(part.take(steps))
    weighted = any(task.weighted for task in tasks.values())
    return (
        tf.data.Dataset.zip(batches)
        .map(lambda batch: _by_part(batch, weighted))
        .apply(tf.data.experimental.assert_cardinality(steps))
        .prefetch(tf.data.AUTOTUNE)
    )


def _shared_out(sizes, names, alpha, total):
    """Returns each task's rows of a batch, by its size or by given shares."""
    if not isinstance(alpha, dict):
        alpha = at_least("alpha", 0.5 if alpha is None else alpha, 0.0)
        return allot_rows(sizes, total, alpha)
    if set(alpha) != set(names):
        raise ValueError(
            f"Argument `alpha` must have a share for each of the tasks {names}."
            f" Received: alpha={alpha!r}"
        )
    shares = [above(f"alpha[{name!r}]", alpha[name], 0.0) for name in names]
    return allot_rows(shares, total, 1.0)


def _refuse_unused(sampling, alpha, steps_per_epoch, drop_remainder):
    """Raises on an argument that the sampling would not use."""
    if alpha is not None and sampling != "proportional":
        raise ValueError(
            "Argument `alpha` is only used by sampling='proportional'. "
            f"Received: alpha={alpha!r}, sampling={sampling!r}"
        )
    if sampling == "once" and (steps_per_epoch is not None or drop_remainder):
        raise ValueError(
            "sampling='once' gives every row exactly once, so it takes neither "
            "`steps_per_epoch` nor `drop_remainder`. Received: "
            f"steps_per_epoch={steps_per_epoch}, "
            f"drop_remainder={drop_remainder}"
        )


def _num_steps(sampling, tasks, passes, steps_per_epoch):
    """Returns the number of batches of an epoch."""
    natural = int(passes.min() if sampling == "shortest" else passes.max())
    if steps_per_epoch is not None:
        steps = integer("steps_per_epoch", steps_per_epoch, 1)
        if sampling == "shortest" and steps > natural:
            raise ValueError(
                "The shortest task has fewer batches than `steps_per_epoch`. "
                f"Received: steps_per_epoch={steps}; its batches: {natural}. "
                "Pass fewer steps, or sampling='cycle'."
            )
        return steps
    if natural == 0:
        sizes = {name: task.num_rows for name, task in tasks.items()}
        raise ValueError(
            "No batch is left: `drop_remainder=True` drops the only one. "
            f"Numbers of rows: {sizes}. Lower `batch_size`, or pass "
            "`steps_per_epoch` to sampling='cycle'."
        )
    return natural


def _empty(batches, count):
    """Returns `count` batches of zero rows, like those of `batches`."""
    zeros = tf.nest.map_structure(
        lambda spec: tf.zeros(
            [0] + [size or 0 for size in spec.shape[1:]], spec.dtype
        ),
        batches.element_spec,
    )
    return tf.data.Dataset.from_tensors(zeros).repeat(count)


def _by_part(batch, weighted):
    """Turns `{task: (x, y)}` into `({task: x}, {task: y})`."""
    parts = tuple(
        {task: values[part] for task, values in batch.items()}
        for part in (0, 1)
    )
    if not weighted:
        return parts
    weights = {
        task: values[2]
        if len(values) == 3
        else tf.ones(tf.shape(tf.nest.flatten(values[1])[0])[:1], "float32")
        for task, values in batch.items()
    }
    return (*parts, weights)
