"""Turns raw columns of a table into inputs of a model, by Keras layers."""

from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.layers import OneHotColumns

# Rows that the preprocessing reads at once.
CHUNK = 16_384


class Columns(NamedTuple):
    """How raw columns become inputs of a model.

    Attributes:
        preprocessing: Keras model from raw columns to `{"categories": (B, C)
            int32, "numbers": (B, N) float32}`.
        sizes: Tuple, categories of each of the C columns.
        num_numbers: Integer, N.
    """

    preprocessing: keras.Model
    sizes: tuple
    num_numbers: int

    @property
    def width(self) -> int:
        """Numbers in a row of `wide`."""
        return sum(self.sizes) + self.num_numbers

    def wide(self):
        """Returns a model: categories as zeros and ones, beside the numbers."""
        inputs = {
            "categories": keras.Input(
                (len(self.sizes),), dtype="int32", name="categories"
            ),
            "numbers": keras.Input((self.num_numbers,), name="numbers"),
        }
        ones = OneHotColumns(self.sizes, name="one_hot")(inputs["categories"])
        row = keras.layers.Concatenate(name="row")([ones, inputs["numbers"]])
        return keras.Model(inputs, row, name="wide")


def make_columns(x) -> Columns:
    """Returns the preprocessing that training rows call for.

    Categories are numbered from 1, in the order of their names; one that the
    training rows do not have is 0. Numbers are moved and scaled to a mean of
    0 and a deviation of 1.

    Example:

    >>> table = {"town": np.array(["Ulm", "Rome"]), "age": np.array([31, 45])}
    >>> columns = make_columns(table)
    >>> x = preprocessed(columns.preprocessing, table)
    >>> x["categories"]
    array([[2], [1]], dtype=int32)

    Args:
        x: Dict from column to array `(n,)`: strings for categories, else
            numbers. There must be at least one column of each kind.

    Returns:
        `Columns`.

    Raises:
        ValueError: If a column is neither, or one kind is missing.
    """
    x = {name: _column(name, values) for name, values in x.items()}
    kinds = {
        name: "string" if values.dtype == object else "float32"
        for name, values in x.items()
    }
    if len({*kinds.values()}) < 2:
        raise ValueError(
            "make_columns() needs at least one column of strings and one of "
            f"numbers. Received: {kinds}. A table of numbers alone can be "
            "stacked into one array."
        )
    inputs = {
        name: keras.Input((), name=name, dtype=kind)
        for name, kind in kinds.items()
    }
    categories, sizes, floats = [], [], []
    for name, kind in kinds.items():
        if kind == "float32":
            floats.append(name)
            continue
        known = sorted(set(x[name].tolist()))
        lookup = keras.layers.StringLookup(vocabulary=known, name=f"of_{name}")
        categories.append(keras.ops.cast(lookup(inputs[name]), "int32"))
        sizes.append(len(known))
    numbers = np.stack([x[name] for name in floats], axis=1).astype("float64")
    scaled = keras.layers.Normalization(
        mean=numbers.mean(axis=0), variance=numbers.var(axis=0), name="scaled"
    )
    outputs = {
        "categories": keras.ops.stack(categories, axis=1),
        "numbers": scaled(
            keras.ops.stack([inputs[name] for name in floats], axis=1)
        ),
    }
    model = keras.Model(inputs, outputs, name="preprocessing")
    return Columns(model, tuple(sizes), len(floats))


def preprocessed(preprocessing, x):
    """Returns what a model makes of raw columns, as arrays.

    Args:
        preprocessing: Keras model from a dict of columns.
        x: Dict from column to `(n,)`, as `make_columns` takes it.

    Returns:
        Dict with `"categories"`, `(n, C)` int32, and `"numbers"`, `(n, N)`
        float32.
    """
    x = {name: _column(name, values) for name, values in x.items()}
    signature = {
        name: tf.TensorSpec((None,), tf.as_dtype(values.dtype))
        for name, values in x.items()
    }
    call = tf.function(preprocessing.call, input_signature=[signature])
    num_rows = len(next(iter(x.values())))
    chunks = [
        call({n: tf.constant(v[start : start + CHUNK]) for n, v in x.items()})
        for start in range(0, num_rows, CHUNK)
    ]
    return {
        name: np.concatenate([chunk[name].numpy() for chunk in chunks])
        for name in chunks[0]
    }


def _column(name, values):
    """Returns strings as objects, and numbers as float32."""
    values = np.asarray(values)
    if values.dtype.kind in "OUS":
        return values.astype(object)
    if values.dtype.kind in "biuf":
        return values.astype("float32")
    raise ValueError(
        f"Column {name!r} must hold strings or numbers. Received: "
        f"dtype={values.dtype}"
    )
