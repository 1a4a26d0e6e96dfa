"""Layers that parts of a model share, kept shared in its config."""

from collections import Counter
from contextlib import nullcontext

import keras

from keras_mtl import compat

_ID = "shared_object_id"


def serialize(parts) -> dict:
    """Returns the configs of parts; a layer of several has one id in all.

    Args:
        parts: Dict from a name to what is to be serialized.
    """
    with _scope():
        # Keras notices a layer when it meets it again, and marks then a config
        # that models have copied before. The second time all are known.
        for _ in range(2):
            configs = {
                name: keras.saving.serialize_keras_object(part)
                for name, part in parts.items()
            }
    counts = Counter(c[_ID] for c in _configs(configs) if _ID in c)
    layers = [p for p in _leaves(parts) if isinstance(p, keras.layers.Layer)]
    known = {
        id(part) for layer in layers for part in compat.layers_within(layer)
    }
    for config in _configs(configs):
        # An object that is gone may have left its id to another one.
        if config.get(_ID) not in known or counts[config[_ID]] < 2:
            config.pop(_ID, None)
    return configs


def deserialize(configs, custom_objects=None) -> dict:
    """Returns the parts of `serialize`, with the layers that they share.

    Args:
        configs: Dict from a name to a config.
        custom_objects: Dict from a name to a class, or `None`.
    """
    with _scope():
        return {
            name: _deserialize(config, custom_objects)
            for name, config in configs.items()
        }


def _deserialize(config, custom_objects):
    if isinstance(config, dict) and "class_name" not in config:
        return {
            name: _deserialize(part, custom_objects)
            for name, part in config.items()
        }
    for graph in filter(_is_graph, _configs(config)):
        _count_on(graph["config"])
    return keras.saving.deserialize_keras_object(config, custom_objects)


def _is_graph(config):
    inner = config.get("config")
    return isinstance(inner, dict) and {"layers", "input_layers"} <= set(inner)


def _count_on(graph):
    # A functional config counts a layer's calls from 0, and one that is shared
    # has been called in the parts before.
    calls = {}
    for config in graph["layers"]:
        layer = compat.get_shared_object(config[_ID]) if _ID in config else None
        if layer is not None:
            calls[config["name"]] = compat.num_calls(layer)
    if not calls:
        return
    for end in ("input_layers", "output_layers"):
        graph[end] = _moved(graph[end], calls)
    for config in graph["layers"]:
        for tensor in _configs(config["inbound_nodes"]):
            if "keras_history" in tensor:
                history = tensor["keras_history"]
                tensor["keras_history"] = _moved(history, calls)


def _moved(structure, calls):
    if isinstance(structure, dict):
        return {name: _moved(part, calls) for name, part in structure.items()}
    if not isinstance(structure, list | tuple):
        return structure
    if len(structure) == 3 and isinstance(structure[1], int):
        name, call, tensor = structure
        return [name, call + calls.get(name, 0), tensor]
    return [_moved(part, calls) for part in structure]


def _configs(structure):
    """Yields every dict in a structure, the outer ones first."""
    if isinstance(structure, dict):
        yield structure
        structure = list(structure.values())
    if isinstance(structure, list | tuple):
        for part in structure:
            yield from _configs(part)


def _leaves(structure):
    if isinstance(structure, dict):
        return [leaf for part in structure.values() for leaf in _leaves(part)]
    return [structure]


def _scope():
    # Keras' own, while it saves or loads; leaving an inner one would end it.
    name = "shared_objects/id_to_obj_map"
    if compat.is_scope_open(name):
        return nullcontext()
    return compat.ObjectSharingScope()
