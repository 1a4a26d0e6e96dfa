"""The parts of a user's data: arrays or data sets."""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

PARTS = ("train", "validation", "test", "query")
SETS = (tf.data.Dataset, keras.utils.PyDataset)


def parts_of(data) -> dict[str, Any]:
    """Returns the parts of the data by name, `None` for those not given.

    Raises:
        ValueError: If there is no training or no validation part, or one is
            neither arrays nor a data set.
    """
    if isinstance(data, tuple | list) and len(data) == 2:
        data = dict(zip(PARTS, data, strict=False))
    if not isinstance(data, Mapping):
        raise ValueError(
            "Argument `data` must be a dict of 'train', 'validation' and, if "
            "wanted, 'test' and 'query', or a pair (train, validation). "
            f"Received: an object of type {type(data).__name__}"
        )
    unknown = sorted(set(data) - set(PARTS))
    missing = [name for name in PARTS[:2] if data.get(name) is None]
    if unknown or missing:
        raise ValueError(
            f"Argument `data` must have the parts 'train' and 'validation', "
            f"and may have 'test' and 'query'. Missing: {missing}. Unknown: "
            f"{unknown}."
        )
    for name, part in data.items():
        pair = isinstance(part, tuple | list) and len(part) in (2, 3)
        if part is not None and not pair and not is_set(part):
            raise ValueError(
                f"The part {name!r} of the data must be a tuple (x, y) or "
                "(x, y, sample_weight) of arrays, a tf.data.Dataset or a "
                f"PyDataset. Received: an object of type {type(part).__name__}."
                " A pair (x, y) alone has no validation part: pass "
                "data={'train': (x, y), 'validation': (x_val, y_val)}."
            )
    return {name: data.get(name) for name in PARTS}


def is_set(part) -> bool:
    """Whether a part is a data set, which has batches of its own."""
    return isinstance(part, SETS)


def num_rows(part) -> int | None:
    """Returns the number of rows, or None where it is not known."""
    if part is None or is_set(part):
        return None
    leaf = keras.tree.flatten(part[0])[0]
    return len(leaf) if hasattr(leaf, "__len__") else None


def first_batch(part) -> tuple | None:
    """Returns a batch `(x, y, ...)` of a part, or None if it has no arrays.

    Args:
        part: Tuple `(x, y)` or `(x, y, sample_weight)`, or a data set.
    """
    if isinstance(part, tf.data.Dataset):
        return tuple(next(iter(part)))
    if isinstance(part, keras.utils.PyDataset):
        return tuple(part[0])
    if not all(hasattr(a, "shape") for a in keras.tree.flatten(part)):
        return None
    return tuple(keras.tree.map_structure(lambda a: a[:2], tuple(part)))


def of_task(part, task) -> tuple:
    """Returns `(x, ...)` with the labels of one task alone, or all.

    Args:
        part: Tuple `(x, y)` or `(x, y, sample_weight)`, or a data set.
        task: String, or None for all tasks.
    """
    if task is None:
        return (part,) if is_set(part) else tuple(part)
    if isinstance(part, tf.data.Dataset):
        return (part.map(lambda *batch: _only(task, *batch)),)
    if isinstance(part, keras.utils.PyDataset):
        return (_OneTask(part, task),)
    return _only(task, *part)


def _only(task, x, y, *weights):
    # None says that a task is left out on purpose.
    labels = {t: y[t] if t == task else None for t in y}
    own = [
        {task: weight[task]} if isinstance(weight, Mapping) else weight
        for weight in weights
        if weight is not None
        and (not isinstance(weight, Mapping) or task in weight)
    ]
    return (x, labels, *own)


class _OneTask(keras.utils.PyDataset):
    """Another data set, with the labels of one task alone."""

    def __init__(self, inner, task):
        super().__init__(
            workers=inner.workers,
            use_multiprocessing=inner.use_multiprocessing,
            max_queue_size=inner.max_queue_size,
        )
        self._inner, self._task = inner, task

    @property
    def num_batches(self):
        """The number of batches, None where it is not known."""
        return self._inner.num_batches

    def __getitem__(self, index):
        return _only(self._task, *self._inner[index])

    def on_epoch_begin(self):
        """As of the other one."""
        self._inner.on_epoch_begin()

    def on_epoch_end(self):
        """As of the other one."""
        self._inner.on_epoch_end()
