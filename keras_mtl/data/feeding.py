"""From what users pass to `fit`, `evaluate` and `predict` to data sets."""

import warnings
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.checks import fraction, integer
from keras_mtl.data import labels
from keras_mtl.data.completion import completed
from keras_mtl.data.mixing import task_batches
from keras_mtl.data.query import (
    QueryArguments,
    no_query,
    query_in_use,
    unused_query,
)
from keras_mtl.data.rotating import Sizes, rotating_batches
from keras_mtl.data.sources import (
    as_dataset,
    can_shuffle,
    makes_batches,
    with_query,
)
from keras_mtl.data.structures import without_none
from keras_mtl.data.support_query import (
    SupportQuery,
    check_rows,
    zip_support_query,
)
from keras_mtl.signals import reads_query


def training_arguments(model, weighter, fit, query) -> dict:
    """Returns the arguments for `keras.Model.fit`, query data mixed in.

    Arrays stay arrays unless lengths differ by task or there is query data.

    Args:
        model: A compiled `MultiTaskModel`.
        weighter: `Weighter` that is to be trained with.
        fit: Dict of the arguments of `keras.Model.fit`, and `task`.
        query: `QueryArguments`.

    Raises:
        ValueError: If data are empty or query data missing or misplaced.
    """
    fit = dict(fit)
    _check_not_empty(fit["x"])
    x = model.arrangement.own_rows(fit["x"], fit.pop("task"))
    if not can_shuffle(x):
        fit["shuffle"] = False
    query = query_in_use(weighter, x, query)
    kind = _kind(x)
    x, y, weights = labels.for_training(
        model,
        x,
        fit["y"],
        fit["sample_weight"],
        fit.pop("class_weight"),
        shuffle=fit["shuffle"],
    )
    fit |= {"x": x, "y": y, "sample_weight": weights}
    if fit["validation_data"] is not None:
        fit["validation_data"] = _validation(model, fit)
    _split_own_rows(model.arrangement, fit)
    x = fit["x"]
    if query == QueryArguments() and not _uneven(model, x):
        return fit
    batch_size = _size("batch_size", fit["batch_size"], 32)
    if not isinstance(x, tf.data.Dataset) and not makes_batches(x):
        x, query = _batches_of_arrays(model, fit, query, batch_size)
        if query.rotation:
            # Its batches begin anew with each epoch, as many as are asked for.
            fit |= {"shuffle": False, "steps_per_epoch": None}
            query = QueryArguments()
    elif query.split is not None:
        raise ValueError(
            f"query_split splits arrays. Received: {kind}. Pass the query "
            "rows as query_data=..., arrays or a data set of their own."
        )
    nothing = dict.fromkeys(("y", "sample_weight", "batch_size"))
    fit |= {**nothing, "validation_split": 0.0, "x": x}
    if query.data is None:
        return fit | {"shuffle": False}
    return _with_query(model, fit, query, batch_size)


def _batches_of_arrays(model, fit, query, batch_size):
    """Returns arrays as a data set of batches, and their query rows.

    Rows of `validation_split` are put aside in `fit`.
    """
    arrays = [fit["x"], fit["y"], without_none(fit["sample_weight"])]
    if fit["validation_split"] and fit["validation_data"] is None:
        share = fraction("validation_split", fit["validation_split"])
        arrays, held_out = _split_end(model, arrays, share)
        size = fit["validation_batch_size"] or batch_size
        fit["validation_data"] = _batches(model, held_out, size, "once")
    if query.rotation:
        return _rotating(model, arrays, fit, query, batch_size), query
    if query.split is not None:
        separate = model.is_separate(arrays[0])
        arrays, rows = model.arrangement.split(*arrays, query.split, separate)
        query = query._replace(data=rows)
    batches = _batches(model, arrays, batch_size, "cycle", fit["shuffle"])
    return batches, query


def _rotating(model, arrays, fit, query, batch_size):
    separate = model.is_separate(arrays[0])
    rotating = model.arrangement.rotations(*arrays, query.split, separate)
    size = _size("query_batch_size", query.batch_size, batch_size)
    sizes = Sizes(batch_size, size, fit["steps_per_epoch"])
    batches, fit["rotation"] = rotating_batches(
        arrays, rotating, separate, sizes, fit["shuffle"]
    )
    return batches


def _with_query(model, fit, query, batch_size):
    size = _size("query_batch_size", query.batch_size, batch_size)
    data = as_dataset(completed(model, query.data)[0])
    if not isinstance(data, tf.data.Dataset):
        data = _batches(model, labels.of_batch(model, data), size, "cycle")
    support, steps = fit["x"], fit["steps_per_epoch"]
    if not isinstance(support, tf.data.Dataset):
        data = with_query(support, data, fit["shuffle"])
        return fit | {"shuffle": False, "x": data}
    if not steps:
        steps = int(support.cardinality())
        # Keras would run past the end, to a multiple of these.
        steps = 0 if steps % model.steps_per_execution else steps
    if steps > 0:
        # Repeated, so that query batches go on from one epoch to the next.
        support, fit["steps_per_epoch"] = support.repeat(), steps
    return fit | {"shuffle": False, "x": zip_support_query(support, data)}


def evaluation_data(
    model, x, y=None, sample_weight=None, batch_size=None, task=None
):
    """Returns `x, y, sample_weight`; a data set if lengths differ by task."""
    x = model.arrangement.own_rows(x, task)
    x, y, sample_weight = labels.for_evaluation(model, x, y, sample_weight)
    if not _uneven(model, x):
        return x, y, sample_weight
    if y is not None:
        data = (x, y, sample_weight)
        return _batches(model, data, batch_size or 32, "once"), None, None
    unused = {task: np.zeros(_length(part)) for task, part in x.items()}
    dataset = _batches(model, (x, unused, None), batch_size or 32, "once")
    return dataset.map(lambda x, _: (x,)), None, None


def evaluation_batch(model, x, y, sample_weight):
    """Returns one batch for `test_on_batch`, checked."""
    x = model.arrangement.own_rows(x)
    return labels.for_evaluation(model, x, y, sample_weight)


def batch_with_query(model, batch, query_data, class_weight=None):
    """Returns one batch for `train_on_batch`, with its query batch."""
    batch = labels.of_batch(model, batch, class_weight)
    if not reads_query(model.weighter):
        if query_data is not None:
            warnings.warn(unused_query(model.weighter), stacklevel=3)
        return batch
    if query_data is None:
        raise ValueError(no_query(model.weighter, "train_on_batch()"))
    return SupportQuery(batch, labels.of_batch(model, query_data))


def _validation(model, fit):
    data = fit["validation_data"]
    if not isinstance(data, tuple | list):
        return completed(model, data)[0]
    size = fit.get("validation_batch_size") or fit.get("batch_size")
    data = evaluation_data(
        model, *keras.utils.unpack_x_y_sample_weight(tuple(data)), size
    )
    return data[0] if isinstance(data[0], tf.data.Dataset) else data


def _split_own_rows(tasks, fit):
    """Splits validation rows off each task's, where rows belong to one."""
    share = fit.get("validation_split")
    if not share or fit.get("validation_data") is not None:
        return
    names = ("x", "y", "sample_weight")
    sides = tasks.split_end(
        *(fit.get(name) for name in names),
        fraction("validation_split", share),
    )
    if sides is not None:
        kept, fit["validation_data"] = sides
        fit |= {**dict(zip(names, kept, strict=True)), "validation_split": 0.0}


def _size(name, value, default):
    return default if value is None else integer(name, value, 1)


def _batches(model, arrays, batch_size, sampling, shuffle=True):
    """Returns a data set of batches of `(x, y, sample_weight)` arrays."""
    x, y, weights = arrays
    weights = without_none(weights)
    if model.is_separate(x):
        weights = weights or {}
        data = {
            task: (x[task], y[task], weights[task])
            if task in weights
            else (x[task], y[task])
            for task in x
        }
        dataset = task_batches(data, batch_size, sampling, shuffle=shuffle)
        if not 0 < len(weights) < len(data):
            return dataset
        # A task without weights has none, not ones, which would mask.
        return dataset.map(
            lambda x, y, given: (x, y, {task: given[task] for task in weights})
        )
    rows = (x, y) if weights is None else (x, y, weights)
    for task, label in y.items() if isinstance(y, Mapping) else ():
        check_rows(task, x, label, (weights or {}).get(task))
    rows = keras.tree.map_structure(_array, keras.tree.lists_to_tuples(rows))
    dataset = tf.data.Dataset.from_tensor_slices(rows)
    if shuffle and sampling != "once":
        dataset = dataset.shuffle(_length(x))
    return dataset.batch(batch_size)


def _split_end(model, arrays, share):
    """Splits off the last rows, each task's own, as Keras does."""

    def split(tree):
        cut = int(np.floor(_length(tree) * (1.0 - share)))
        return tuple(
            keras.tree.map_structure(lambda a, s=side: np.asarray(a)[s], tree)
            for side in (slice(None, cut), slice(cut, None))
        )

    if not model.is_separate(arrays[0]):
        halves = [(None, None) if a is None else split(a) for a in arrays]
    else:
        by_task = [{t: split(p) for t, p in (a or {}).items()} for a in arrays]
        halves = [
            tuple(
                {t: p[side] for t, p in tree.items()} or None for side in (0, 1)
            )
            for tree in by_task
        ]
    return zip(*halves, strict=True)


def _uneven(model, x):
    if not model.is_separate(x):
        return False
    return len({_length(part) for part in x.values()}) > 1


def _length(tree):
    leaf = keras.tree.flatten(tree)[0]
    return len(leaf) if hasattr(leaf, "__len__") else np.shape(tree)[0]


def _array(leaf):
    """Returns an array; floats as Keras' own `fit` passes them."""
    leaf = np.asarray(leaf)
    return (
        leaf.astype(keras.config.floatx()) if leaf.dtype.kind == "f" else leaf
    )


def _check_not_empty(x):
    if isinstance(x, tf.data.Dataset):
        empty = int(x.cardinality()) == 0
    else:
        shapes = [getattr(leaf, "shape", ()) for leaf in keras.tree.flatten(x)]
        empty = any(tuple(shape)[:1] == (0,) for shape in shapes)
    if empty:
        raise ValueError(
            "The training set is empty. Pass at least one row for each task."
        )


def _kind(x):
    return (
        "a data set"
        if isinstance(x, tf.data.Dataset)
        else f"a {type(x).__name__}"
    )
