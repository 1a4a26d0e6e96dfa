"""From what users pass to `fit`, `evaluate` and `predict` to data sets."""

import warnings
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.checks import fraction, integer
from keras_mtl.data import labels
from keras_mtl.data.mixing import task_batches
from keras_mtl.data.structures import without_none
from keras_mtl.data.support_query import (
    SupportQuery,
    check_rows,
    zip_support_query,
)
from keras_mtl.signals import reads_query

FIT_ORDER = (
    *("batch_size", "epochs", "verbose", "callbacks", "validation_split"),
    *("validation_data", "shuffle", "class_weight", "sample_weight"),
    *("initial_epoch", "steps_per_epoch", "validation_steps"),
    *("validation_batch_size", "validation_freq"),
)


def training_arguments(model, x, y, args, kwargs) -> dict:
    """Returns the arguments for `keras.Model.fit`, query data mixed in.

    Arrays stay arrays unless lengths differ by task or there is query data.

    Raises:
        ValueError: If data are empty or query data missing or misplaced.
    """
    fit = {**dict(zip(FIT_ORDER, args, strict=False)), **kwargs, "x": x, "y": y}
    split, query = fit.pop("query_split", None), fit.pop("query_data", None)
    query_batch_size = fit.pop("query_batch_size", None)
    if isinstance(x, tf.data.Dataset):
        fit.setdefault("shuffle", False)
    _check_not_empty(x)
    x = fit["x"] = model.arrangement.own_rows(x, fit.pop("task", None))
    x, y, weights = labels.for_training(
        model, x, y, fit.get("sample_weight"), fit.pop("class_weight", None)
    )
    fit |= {"x": x, "y": y, "sample_weight": weights}
    if not needs_query(model):
        given = (split, query, query_batch_size)
        if _has_query(x) or any(value is not None for value in given):
            warnings.warn(_unused_query(model), stacklevel=3)
        split = query = query_batch_size = None
    elif split is None and query is None and not _has_query(x):
        raise ValueError(_no_query(model, "fit()"))
    batched = isinstance(query, tf.data.Dataset) or _has_query(x)
    if batched and query_batch_size is not None:
        warnings.warn(
            "`query_batch_size` is ignored: the query data are a data set, "
            "which has batches of its own.",
            stacklevel=3,
        )
    if split is not None and query is not None:
        raise ValueError("Pass query_split or query_data to fit(), not both.")
    if fit.get("validation_data") is not None:
        fit["validation_data"] = _validation(model, fit)
    _split_own_rows(model.arrangement, fit)
    x = fit["x"]
    if split is None and query is None and not _uneven(model, x):
        return fit
    batch_size = _size("batch_size", fit.pop("batch_size", None), 32)
    arrays = [fit.pop("x"), fit.pop("y"), fit.pop("sample_weight", None)]
    arrays[2] = without_none(arrays[2])
    shuffle = fit.pop("shuffle", True)
    if isinstance(x, tf.data.Dataset):
        if split is not None:
            raise ValueError(
                "query_split splits arrays. Received: a data set. Pass the "
                "query rows as query_data=..., another data set."
            )
        support = x
    else:
        share = fit.pop("validation_split", 0.0)
        if share and fit.get("validation_data") is None:
            share = fraction("validation_split", share)
            arrays, held_out = _split_end(model, arrays, share)
            size = fit.get("validation_batch_size") or batch_size
            fit["validation_data"] = _batches(model, held_out, size, "once")
        if split is not None:
            separate = model.is_separate(arrays[0])
            arrays, query = model.arrangement.split(*arrays, split, separate)
        support = _batches(model, arrays, batch_size, "cycle", shuffle)
    fit["shuffle"] = False
    if query is None:
        return {**fit, "x": support}
    size = _size("query_batch_size", query_batch_size, batch_size)
    if not isinstance(query, tf.data.Dataset):
        query = _batches(model, labels.of_batch(model, query), size, "cycle")
    steps = fit.get("steps_per_epoch")
    if not steps:
        steps = int(support.cardinality())
        # Keras would run past the end, to a multiple of these.
        steps = 0 if steps % model.steps_per_execution else steps
    if steps > 0:
        # Repeated, so that query batches go on from one epoch to the next.
        support, fit["steps_per_epoch"] = support.repeat(), steps
    return {**fit, "x": zip_support_query(support, query)}


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


def batch_with_query(model, batch, query_data, class_weight=None):
    """Returns one batch for `train_on_batch`, with its query batch."""
    batch = labels.of_batch(model, batch, class_weight)
    if not needs_query(model):
        if query_data is not None:
            warnings.warn(_unused_query(model), stacklevel=3)
        return batch
    if query_data is None:
        raise ValueError(_no_query(model, "train_on_batch()"))
    return SupportQuery(batch, labels.of_batch(model, query_data))


def needs_query(model) -> bool:
    """Whether the model's weighter learns from query data."""
    return reads_query(model.weighter)


def _validation(model, fit):
    data = fit["validation_data"]
    if not isinstance(data, tuple | list):
        return data
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


def _has_query(x):
    return isinstance(getattr(x, "element_spec", None), SupportQuery)


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


def _no_query(model, method):
    split = "query_split=0.1 or " if method == "fit()" else ""
    name = type(model.weighter).__name__
    return f"{name} needs query data. Pass {split}query_data=... to {method}."


def _unused_query(model):
    return (
        f"{type(model.weighter).__name__} does not use query data: "
        "query rows, `query_split` and `query_batch_size` are ignored, and all "
        "rows of `x` train the model."
    )
