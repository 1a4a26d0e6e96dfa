"""Batches made in Python that have labels of other tasks each time."""

import itertools
from collections.abc import Mapping

import keras
import numpy as np

from keras_mtl.data.loaders import LoadedBatches, arrays_of, is_loader
from keras_mtl.data.structures import by_task
from keras_mtl.tasks.loss_parts import (
    at_path,
    is_dict,
    is_nested,
    leaves,
    part_name,
)

# Batches to look at for each task, so that tasks drawn at random are all seen.
LOOK_AHEAD = 4


def completed(model, data) -> tuple:
    """Returns batches of one structure, and the labels that some of them have.

    Keras makes one data set of all batches, which all have the labels of the
    same tasks. Those that a batch lacks become zeros of weight 0; where tasks
    have inputs of their own, a task without is one of no rows. For stacked
    heads, labels by task are stacked.

    Args:
        model: `MultiTaskModel`.
        data: `keras.utils.PyDataset`, PyTorch's or grain's loader, or
            generator of batches; data of other kinds, or whose labels are no
            dicts, are returned as they are.

    Returns:
        Tuple of the batches, and a dict by task of labels `(0, ...)`, or of
        `None` for a task that is left out; or `None`.

    Raises:
        ValueError: If labels or weights are not named by task.
    """
    listed, loaded = isinstance(data, keras.utils.PyDataset), is_loader(data)
    again = listed or loaded
    if not again and not hasattr(data, "__next__"):
        return data, None
    source = arrays_of(data) if loaded else data
    if listed:
        source = (data[n] for n in range(data.num_batches or 2**31))
    first, batches = [], []
    names = set(model.task_names)
    most = max(2, LOOK_AHEAD * len(names))
    while len(first) < 2 or (names and len(first) < most):
        batch = next(source, None)
        if batch is None:
            break
        first.append(batch)
        parts = _labelled(model.output_names, batch)
        if parts is None:
            break
        batches.append(parts)
        names -= {t for t, label in parts[1].items() if label is not None}
    rest = data if again else itertools.chain(first, data)
    if not first or len(batches) < len(first):
        return (rest if again else (batch for batch in rest)), None
    separate = model.is_separate(batches[0][0])
    complete = model.arrangement.completion(batches, separate)
    labels = {**_left_out(first), **complete.labels}
    if listed:
        return CompleteDataset(data, complete, first), labels
    if loaded:
        return LoadedBatches(data, complete, first), labels
    return (complete(batch) for batch in rest), labels


def _left_out(batches):
    """Returns `None` for each task whose labels are `None` in all batches."""
    labels = [batch[1] for batch in batches]
    named = {task for y in labels for task in y}
    return {t: None for t in named if all(y.get(t) is None for y in labels)}


class Completion:
    """Gives every batch the labels, and perhaps weights, of the same tasks.

    Args:
        names: Tuple of strings, those of the model's outputs.
        batches: List of the first batches `(x, y, sample_weight)`, labels and
            weights by task.
        separate: Boolean, whether inputs are those of each task.

    Attributes:
        labels: Dict from task name to labels `(0, ...)`, nested as they are.
    """

    def __init__(self, names, batches, separate):
        self._names, self._number = names, len(batches)
        self._separate = separate
        self.labels, self._weights, self._inputs = {}, {}, {}
        for x, y, weights in batches:
            self.labels = _union(self.labels, y)
            self._weights = _union(self._weights, weights or {})
            if separate:
                for task, part in x.items():
                    rows = keras.tree.map_structure(_no_rows, part)
                    self._inputs.setdefault(task, rows)
        self._weighted = {t for t, w in self._weights.items() if w is not None}
        if not separate and any(self._lacking(y) for _, y, _ in batches):
            self._weighted = set(self.labels)

    def __call__(self, batch):
        """Returns `(x, y)` or `(x, y, sample_weight)` with all labels.

        Raises:
            ValueError: If the batch has labels of a task that none of the
                first batches had, or lacks some that all of them had.
        """
        parts = _labelled(self._names, batch)
        if parts is None:
            return batch
        x, y, weights = parts
        self._check(y)
        rows = next((len(label) for _, label in _there(y)), 0)
        if self._separate:
            x = {**self._inputs, **x}
        sizes = {
            task: len(keras.tree.flatten(x[task])[0])
            if self._separate
            else rows
            for task in self.labels
        }
        complete = {
            task: _filled(like, y.get(task), sizes[task])
            for task, like in self.labels.items()
        }
        if not self._weighted:
            return x, complete
        weights = {
            task: _weights_like(
                complete[task],
                y.get(task),
                (weights or {}).get(task),
                self._weights.get(task),
                sizes[task],
            )
            for task in complete
            if task in self._weighted
        }
        return x, complete, weights

    def _lacking(self, y):
        """Returns the names of the labels that a batch lacks."""
        return [
            part_name(task, path)
            for task, like in self.labels.items()
            for path, leaf in leaves(like)
            if leaf is not None and at_path(y.get(task), path) is None
        ]

    def _check(self, y):
        known = {(task, path) for task, path in _paths(self.labels)}
        new = [part_name(*at) for at in _paths(y) if at not in known]
        if new:
            raise ValueError(
                f"A batch has labels for {new}, and none of the first "
                f"{self._number} batches had any. Let one of them have some, "
                "or zeros whose sample weights are 0."
            )
        lacking = [] if self._separate else self._lacking(y)
        if lacking and not self._weighted >= set(self.labels):
            raise ValueError(
                f"A batch has no labels for {lacking}, and all of the first "
                f"{self._number} batches had some. Let one of them have none, "
                "or pass zeros whose sample weights are 0, in all batches "
                "sample weights {task: weights}."
            )


class CompleteDataset(keras.utils.PyDataset):
    """A `PyDataset` whose batches are completed.

    Args:
        source: `PyDataset`.
        complete: `Completion`.
        first: List of the first batches, each of which is read no second time
            when it is first asked for, before any epoch.
    """

    def __init__(self, source, complete, first):
        super().__init__(
            source.workers, source.use_multiprocessing, source.max_queue_size
        )
        self.source, self._complete = source, complete
        self._first = dict(enumerate(first))

    @property
    def num_batches(self):
        """Number of batches, `None` for infinitely many."""
        return self.source.num_batches

    def __getitem__(self, index):
        """Returns a batch."""
        batch = self._first.pop(index, None)
        return self._complete(self.source[index] if batch is None else batch)

    def on_epoch_begin(self):
        """Tells the source that an epoch begins."""
        self.source.on_epoch_begin()

    def on_epoch_end(self):
        """Tells the source that an epoch is over; it may shuffle then."""
        self._first.clear()
        self.source.on_epoch_end()


def _labelled(names, batch):
    """Returns `(x, y, sample_weight)` by task, or `None` without labels."""
    if not isinstance(batch, list | tuple) or not 2 <= len(batch) <= 3:
        return None
    x, y, weights = keras.utils.unpack_x_y_sample_weight(tuple(batch))
    if not isinstance(y, Mapping):
        return None
    return x, *by_task(names, y, weights)


def _paths(labels):
    return [(t, p) for t, of in labels.items() for p, _ in _leaves_there(of)]


def _leaves_there(tree):
    return [(path, leaf) for path, leaf in leaves(tree) if leaf is not None]


def _there(y):
    return [pair for nested in y.values() for pair in _leaves_there(nested)]


def _no_rows(leaf):
    return np.asarray(leaf[:0])


def _union(known, tree):
    """Returns a structure of what either has, of arrays without rows."""
    if is_dict(tree):
        known = known if is_dict(known) else {}
        keys = {**known, **tree}
        return {k: _union(known.get(k), tree.get(k)) for k in keys}
    if is_nested(tree):
        known = known if is_nested(known) else [None] * len(tree)
        return tuple(map(_union, known, tree))
    if tree is None or known is not None:
        return known
    return _no_rows(tree)


def _filled(like, label, rows):
    """Returns labels, zeros where there are none."""
    if is_dict(like):
        return {
            key: _filled(part, at_path(label, (key,)), rows)
            for key, part in like.items()
        }
    if is_nested(like):
        return tuple(
            _filled(part, at_path(label, (key,)), rows)
            for key, part in enumerate(like)
        )
    if label is None and like is not None:
        return np.zeros((rows, *like.shape[1:]), like.dtype)
    return label


def _weights_like(complete, label, weight, like, rows):
    """Returns weights nested as labels, 0 where there were none."""
    if is_nested(complete):
        pairs = complete.items() if is_dict(complete) else enumerate(complete)
        parts = {
            key: _weights_like(
                part,
                *(at_path(t, (key,)) for t in (label, weight, like)),
                rows,
            )
            for key, part in pairs
        }
        return parts if is_dict(complete) else tuple(parts.values())
    if complete is None or (label is not None and weight is not None):
        return weight
    shape = () if like is None else like.shape[1:]
    return np.full((rows, *shape), float(label is not None), "float32")
