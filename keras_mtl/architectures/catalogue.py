"""Architectures, by name."""

import reprlib
from typing import cast

import keras

from keras_mtl.architectures.adapters import TaskFiLM, TaskLoRA
from keras_mtl.architectures.cross_stitch import CrossStitch
from keras_mtl.architectures.mmoe import MMoE
from keras_mtl.architectures.mtan import MTAN
from keras_mtl.architectures.ple import PLE
from keras_mtl.architectures.shared_private import SharedPrivate
from keras_mtl.architectures.task_encoder import TaskEncoder
from keras_mtl.checks import class_name_of, did_you_mean, fitting

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
        identifier: String, config dict as `deserialize` takes it, or
            `TaskEncoder`.
        **arguments: Arguments of the class, with a name only.

    Raises:
        ValueError: If the identifier names no architecture, or an argument
            that it needs is missing.
    """
    if isinstance(identifier, str):
        return _made(_named(identifier), identifier, arguments)
    if arguments:
        raise ValueError(
            "Arguments go with the name of an architecture; a TaskEncoder or "
            "a config dict has its own. Received: "
            f"{reprlib.repr(identifier)} and {sorted(arguments)}"
        )
    if isinstance(identifier, TaskEncoder):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    raise ValueError(
        "An architecture must be a name, a config dict or a TaskEncoder. "
        f"Received: {identifier!r}. Names: {list(CATALOGUE)}"
    )


def _named(name):
    """Returns the class of a name: the catalogue's, or the class's own."""
    classes = {cls.__name__: cls for cls in CATALOGUE.values()}
    known = {**CATALOGUE, **classes}
    if name not in known:
        raise ValueError(
            f"Unknown architecture {name!r}.{did_you_mean(name, known)} Names: "
            f"{list(CATALOGUE)}"
        )
    return known[name]


def _made(cls, name, arguments):
    try:
        return cls(**arguments)
    except TypeError as error:
        raise ValueError(
            f"The architecture {name!r} does not take these arguments. "
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


def deserialize(
    config: dict, custom_objects: dict | None = None
) -> TaskEncoder:
    """Returns the architecture of a config dict.

    Example:

    >>> arguments = {"task_names": ["a", "b"], "expert": keras.layers.Dense(4)}
    >>> deserialize({"class_name": "mmoe", "config": arguments}).task_names
    ('a', 'b')

    Args:
        config: Dict with `class_name` (of the class, or a name that `get`
            takes) and `config`.
        custom_objects: Dict from class name to class, for classes that are
            not registered.

    Raises:
        ValueError: If the config does not describe an architecture.
    """
    name = class_name_of("An architecture", config)
    short = "module" not in config and name not in (custom_objects or {})
    with (
        fitting(f"the architecture {name!r}", config),
        keras.saving.custom_object_scope(custom_objects or {}),
    ):
        if short:
            found = _named(name).from_config(dict(config.get("config") or {}))
        else:
            found = keras.saving.deserialize_keras_object(config)
    if not isinstance(found, TaskEncoder):
        raise ValueError(
            f"The config describes {found!r}, not an architecture. Names: "
            f"{list(CATALOGUE)}"
        )
    return found
