"""Copies of a layer that start with different values."""

from typing import Any

import keras
import numpy as np

from keras_mtl.checks import UNFIT

# Between the seeds of one copy and the next.
STRIDE = 1_000_003


def clones(config, names) -> list:
    """Returns a layer for each name, with seeds of its own.

    Args:
        config: Dict, as `keras.saving.serialize_keras_object` gives it.
        names: List of strings, the layers' names.
    """
    return [clone(config, number, name) for number, name in enumerate(names)]


def clone(config, number, name):
    """Returns one layer, with the seeds of the copy `number`."""
    own: Any = reseeded(config, number)
    own = {**own, "config": {**own["config"], "name": name}}
    return keras.saving.deserialize_keras_object(own)


def copies(initializer, number) -> list:
    """Returns as many initializers that draw values of their own."""
    config = keras.saving.serialize_keras_object(initializer)
    return [
        keras.saving.deserialize_keras_object(reseeded(config, copy))
        for copy in range(number)
    ]


def check_starts_apart(config):
    """Raises if copies of a layer would start with equal kernels.

    Equal experts get equal gradients, and stay nearly equal.

    Raises:
        ValueError: That names the initializer.
    """
    for name, initializer in _initializers(config):
        if "kernel" in name and _draws_nothing(initializer):
            raise ValueError(
                f"Several copies would start equal, and stay nearly equal: "
                f"`{name}` is {initializer['class_name']}. Pass a random "
                "initializer, such as 'glorot_uniform'."
            )


def reseeded(config, copy):
    """Returns the config of a copy, with seeds of its own where given.

    Args:
        config: Dict, of a serialized object.
        copy: Integer, which copy; of 0, the seeds are as they are.
    """
    if isinstance(config, list):
        return [reseeded(part, copy) for part in config]
    if not isinstance(config, dict):
        return config
    return {
        key: value + STRIDE * copy
        if key == "seed" and isinstance(value, int)
        else reseeded(value, copy)
        for key, value in config.items()
        # Keras would take the object of this number, not another one.
        if key != "shared_object_id"
    }


def _draws_nothing(config):
    first, second = (
        keras.saving.deserialize_keras_object(reseeded(config, copy))
        for copy in range(2)
    )
    try:
        return np.array_equal(first((3, 4)), second((3, 4)))
    except UNFIT:
        # Those of an array, and others, have shapes of their own.
        return "value" in first.get_config()


def _initializers(config):
    if isinstance(config, list):
        for part in config:
            yield from _initializers(part)
    elif isinstance(config, dict):
        for key, value in config.items():
            if key.endswith("_initializer") and isinstance(value, dict):
                yield key, value
            yield from _initializers(value)
