"""What a workload is, and the parts that several share."""

from typing import NamedTuple

import keras
import numpy as np

from keras_mtl.model import MultiTaskModel


class Workload(NamedTuple):
    """A compiled model, and a batch for it.

    Args:
        name: String.
        model: Compiled `MultiTaskModel`.
        x: Inputs, or a dict of inputs by task name.
        y: Dict from task name to labels, or stacked labels.
        by_hand: Dict from label to a function that makes a runner of the
            same, written without this package; or `None`.
    """

    name: str
    model: MultiTaskModel
    x: np.ndarray | dict[str, np.ndarray]
    y: dict[str, np.ndarray] | np.ndarray
    by_hand: dict | None = None


def binary(name, encoder, x, tasks, jit_compile) -> Workload:
    """Returns a workload whose tasks are yes-or-no questions.

    Args:
        name: String.
        encoder: Keras model, inputs -> representation.
        x: Inputs, or a dict of inputs by task name.
        tasks: List of strings.
        jit_compile: Boolean or `"auto"`.
    """
    heads = {t: keras.layers.Dense(1, "sigmoid", name=t) for t in tasks}
    model = MultiTaskModel(encoder, heads)
    model.compile(
        keras.optimizers.Adam(3e-4),
        loss=dict.fromkeys(tasks, "binary_crossentropy"),
        jit_compile=jit_compile,
    )
    num_rows = len(keras.tree.flatten(x)[0])
    return Workload(name, model, x, binary_labels(tasks, num_rows))


def binary_labels(tasks, num_rows) -> dict[str, np.ndarray]:
    """Returns random labels `(num_rows, 1)` of 0 and 1 for each task."""
    rng = np.random.default_rng(1)
    shape = (num_rows, 1)
    return {task: rng.integers(0, 2, shape).astype("float32") for task in tasks}


def dense(widths) -> keras.Model:
    """Returns dense layers of these widths, the first of which is the input."""
    num_inputs, *units = widths
    inputs = outputs = keras.Input((num_inputs,), name="x")
    for width in units:
        outputs = keras.layers.Dense(width, "relu")(outputs)
    return keras.Model(inputs, outputs)


def fingerprints(num_rows, num_bits) -> np.ndarray:
    """Returns bits like those of ECFP fingerprints: a few in a hundred set."""
    rng = np.random.default_rng(0)
    return (rng.random((num_rows, num_bits)) < 0.03).astype("float32")
