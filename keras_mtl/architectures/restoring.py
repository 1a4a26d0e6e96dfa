"""From the config of something that is made of layers to itself."""

import keras


def restored(cls, config, layers):
    """Returns an instance of a config in which some entries are serialized.

    Args:
        cls: Class.
        config: Dict of `get_config()`, or of some of its entries.
        layers: Tuple of the names of the entries that are layers, or lists of
            them.
    """
    own = {name: _read(config[name]) for name in layers if name in config}
    return cls(**{**config, **own})


def _read(value):
    """Returns what is serialized, and the rest as it is."""
    if isinstance(value, list):
        return [_read(part) for part in value]
    if isinstance(value, dict):
        if "class_name" in value:
            return keras.saving.deserialize_keras_object(value)
        return {name: _read(part) for name, part in value.items()}
    return value
