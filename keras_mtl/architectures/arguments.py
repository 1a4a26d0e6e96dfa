"""What an architecture is given: layers among its arguments, and inputs."""

import keras
from keras import ops


def checked_layer(name, value):
    """Returns `value` if it is a Keras layer or model, or raises.

    Args:
        name: String, of the argument.
        value: What was given.
    """
    if not isinstance(value, keras.layers.Layer):
        raise ValueError(
            f"Argument `{name}` must be a Keras layer or model. Received: "
            f"{name}={value!r} (of type {type(value).__name__})"
        )
    return value


def layer_or_none(name, value):
    """Returns `value` if it is a Keras layer, model or `None`, or raises."""
    return None if value is None else checked_layer(name, value)


def as_list(name, value, of):
    """Returns `value` as a list, or raises.

    Args:
        name: String, of the argument.
        value: What was given.
        of: String, what the list should have.
    """
    if not isinstance(value, list | tuple):
        raise ValueError(
            f"Argument `{name}` must be a list of {of}. Received: "
            f"{name}={value!r}"
        )
    return [*value]


def gate_features(inputs):
    """Returns `(B, D)` features: means over all but rows and last axis."""
    if keras.tree.is_nested(inputs):
        shapes = keras.tree.map_structure(lambda x: tuple(x.shape), inputs)
        raise ValueError(
            "Gates read one tensor, (B, ..., D). Received: inputs of the "
            f"structure {shapes}. Pass bottom=..., a layer or model that makes "
            "one of them."
        )
    rank = len(inputs.shape)
    if rank == 2:
        return inputs
    return ops.mean(inputs, axis=tuple(range(1, rank - 1)))
