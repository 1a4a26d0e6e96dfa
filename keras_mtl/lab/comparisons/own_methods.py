"""The methods of a comparison on a user's model: weighters, architectures."""

from collections.abc import Mapping
from typing import Any

from keras_mtl import weighters as catalogue
from keras_mtl.lab.comparisons.methods import AND, SINGLE_TASK


def by_architecture(configs, architectures) -> dict[str, tuple]:
    """Returns weighters times architectures, by the name of the method.

    Args:
        configs: Dict from name to config dict of a weighter.
        architectures: List of names, or None for one that has none.

    Returns:
        Dict from name to `(architecture, config)`.

    Raises:
        ValueError: If the architectures are not names, once each.
    """
    if architectures is None:
        return {name: (None, config) for name, config in configs.items()}
    kinds = [] if isinstance(architectures, str) else [*architectures]
    if not kinds or len({*map(str, kinds)}) < len(kinds):
        raise ValueError(
            "Argument `architectures` must be a list of names, once each, or "
            f"None. Received: architectures={architectures!r}"
        )
    for name in kinds:
        _check_name("an architecture", name)
    return {
        name if kind == kinds[0] else f"{kind}{AND}{name}": (kind, config)
        for kind in kinds
        for name, config in configs.items()
    }


def named(given) -> dict[str, dict]:
    """Returns the config dict of each weighter, by its name."""
    if isinstance(given, str) or not given:
        raise ValueError(
            "Argument `weighters` must be a list of names, config dicts or "
            f"instances, or a dict of them by name. Received: {given!r}"
        )
    if not isinstance(given, Mapping):
        by_name = {}
        for weighter in given:
            name = weighter
            if not isinstance(weighter, str):
                cls = type(catalogue.get(weighter))
                known = [n for n, c in catalogue.CATALOGUE.items() if c is cls]
                name = known[0] if known else cls.__name__
            if name in by_name:
                raise ValueError(
                    f"Two of the weighters are called {name!r}. Pass a dict "
                    "from a name of your own to each."
                )
            by_name[name] = weighter
        given = by_name
    for name in given:
        _check_name("a weighter", name)
    configs = {
        name: _without_names(catalogue.serialize(catalogue.get(weighter)))
        for name, weighter in given.items()
    }
    for config in configs.values():
        catalogue.deserialize(config)  # A class that is not registered.
    return configs


def _check_name(what, name):
    usable = isinstance(name, str) and name and not set(name) & set("/@\\")
    if not usable or name == SINGLE_TASK:
        raise ValueError(
            f"The name of {what} must be a string without '/' and '@', "
            f"and not {SINGLE_TASK!r}. Received: {name!r}"
        )


def _without_names(config) -> Any:
    """Returns a config without the names of layers, which Keras counts up."""
    if isinstance(config, list):
        return [_without_names(part) for part in config]
    if not isinstance(config, dict):
        return config
    of_layer = "trainable" in config
    return {
        key: _without_names(value)
        for key, value in config.items()
        if key != "name" or not of_layer
    }
