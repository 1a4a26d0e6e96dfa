"""Architectures, by name."""

from typing import cast

import keras

from keras_mtl.architectures.adapters import TaskFiLM, TaskLoRA
from keras_mtl.architectures.cross_stitch import CrossStitch
from keras_mtl.architectures.mmoe import MMoE
from keras_mtl.architectures.mtan import MTAN
from keras_mtl.architectures.ple import PLE
from keras_mtl.architectures.shared_private import SharedPrivate
from keras_mtl.architectures.task_encoder import TaskEncoder
from keras_mtl.checks import did_you_mean, fitting

CATALOGUE = {
    "mmoe": MMoE,
    "ple": PLE,
    "cross_stitch": CrossStitch,
    "mtan": MTAN,
    "film": TaskFiLM,
    "lora": TaskLoRA,
    "shared_private": SharedPrivate,
}


def get(
    identifier: str | dict | keras.layers.Layer, **arguments
) -> TaskEncoder:
    """Returns an architecture from a name, a config dict or an instance.

    Example:

    >>> expert = keras.layers.Dense(16, "relu")
    >>> get("mmoe", task_names=["income", "marital"], expert=expert)

    Args:
        identifier: String, dict as `serialize` returns it, or `TaskEncoder`.
        **arguments: Arguments of the class, with a name.

    Raises:
        ValueError: If the identifier names no architecture, or an argument
            that it needs is missing.
    """
    if isinstance(identifier, TaskEncoder):
        return identifier
    if isinstance(identifier, dict):
        with fitting("an architecture", identifier):
            found = keras.saving.deserialize_keras_object(identifier)
        if isinstance(found, TaskEncoder):
            return found
    if not isinstance(identifier, str) or identifier not in CATALOGUE:
        raise ValueError(
            "An architecture must be a name, a config dict or a TaskEncoder. "
            f"Received: {identifier!r}.{did_you_mean(identifier, CATALOGUE)} "
            f"Names: {list(CATALOGUE)}"
        )
    try:
        return CATALOGUE[identifier](**arguments)
    except TypeError as error:
        raise ValueError(
            f"The architecture {identifier!r} does not take these arguments. "
            f"Received: {sorted(arguments)}. {error}"
        ) from error


def serialize(encoder: keras.layers.Layer) -> dict:
    """Returns the config dict of an architecture, without its weights.

    Example:

    >>> config = serialize(MMoE(["a", "b"], keras.layers.Dense(4), 2))
    >>> config["class_name"]
    'MMoE'

    Args:
        encoder: A `TaskEncoder`.
    """
    return cast(dict, keras.saving.serialize_keras_object(encoder))
