"""From the config of something that is made of layers to itself."""

import keras


def restored(cls, config, layers):
    """Returns an instance of a config in which some entries are serialized.

    Args:
        cls: Class.
        config: Dict of `get_config()`; these entries are taken out.
        layers: Tuple of the names of the entries that are layers, or lists of
            them.
    """
    own = keras.saving.deserialize_keras_object(
        {name: config.pop(name) for name in layers}
    )
    return cls(**own, **config)
