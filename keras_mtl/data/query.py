"""The query data that `fit` was given to learn the weights from."""

import warnings
from typing import NamedTuple

import tensorflow as tf

from keras_mtl.data.sources import makes_batches
from keras_mtl.data.support_query import SupportQuery
from keras_mtl.signals import reads_query


class QueryArguments(NamedTuple):
    """What `fit` was given to learn the weights from.

    Args:
        split: Float or `None`, share of each task's rows.
        data: Tuple of arrays, data set, batches made in Python, or `None`.
        batch_size: Integer or `None`, of arrays.
        rotation: Boolean, whether `split` holds out other rows in each epoch.
    """

    split: float | None = None
    data: object = None
    batch_size: int | None = None
    rotation: bool = False


def query_in_use(weighter, x, query):
    """Returns the query arguments that the weighter learns from, checked."""
    split, data, size, rotation = query
    if not reads_query(weighter):
        if _has_query(x) or query != QueryArguments():
            warnings.warn(unused_query(weighter), stacklevel=4)
        return QueryArguments()
    if split is not None and data is not None:
        raise ValueError("Pass query_split or query_data to fit(), not both.")
    if split is None and data is None and not _has_query(x):
        raise ValueError(no_query(weighter, "fit()"))
    if rotation and split is None:
        raise ValueError(
            "query_rotation=True rotates the rows that query_split holds out. "
            "Pass query_split=0.1 with it, and arrays."
        )
    batched = isinstance(data, tf.data.Dataset) or makes_batches(data)
    pair = isinstance(data, tuple | list) and len(data) in (2, 3)
    if data is not None and not batched and not pair:
        raise ValueError(
            "Argument `query_data` must be a tuple (x, y) or (x, y, "
            "sample_weight) of arrays, or batches of such. Received: an "
            f"object of type {type(data).__name__}"
        )
    if (batched or _has_query(x)) and size is not None:
        warnings.warn(
            "`query_batch_size` is ignored: the query data are a data set, "
            "which has batches of its own.",
            stacklevel=4,
        )
    size = None if _has_query(x) else size
    return QueryArguments(split, data, size, bool(rotation))


def no_query(weighter, method) -> str:
    """Returns the message for a weighter without query data."""
    split = "query_split=0.1 or " if method == "fit()" else ""
    name = type(weighter).__name__
    return f"{name} needs query data. Pass {split}query_data=... to {method}."


def unused_query(weighter) -> str:
    """Returns the message for query data that are not used."""
    return (
        f"{type(weighter).__name__} does not use query data: "
        "query rows, `query_split` and `query_batch_size` are ignored, and all "
        "rows of `x` train the model."
    )


def _has_query(x):
    return isinstance(getattr(x, "element_spec", None), SupportQuery)
