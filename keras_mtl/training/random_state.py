"""The state of random layers, such as dropout, which Keras does not save."""

import numpy as np
import tensorflow as tf

from keras_mtl import compat

PREFIX = "random_state_of_"


def save(layers, store):
    """Puts the state of all random layers into `store`.

    Args:
        layers: Dict from a name to a layer or model.
        store: Dict-like, as `save_own_variables` is given it.
    """
    for name, layer in layers.items():
        values = [tf.convert_to_tensor(s).numpy() for s in states(layer)]
        if values:
            store[PREFIX + name] = np.stack(values)


def load(layers, store):
    """Takes the state of all random layers from `store`.

    A layer whose state is not there, or holds another number of random layers,
    keeps its own.

    Args:
        layers: Dict from a name to a layer or model.
        store: Dict-like, as `load_own_variables` is given it.
    """
    for name, layer in layers.items():
        if PREFIX + name not in store:
            continue
        saved, own = np.asarray(store[PREFIX + name]), states(layer)
        if len(saved) == len(own):
            for variable, value in zip(own, saved, strict=True):
                variable.assign(value)


def variables(layers):
    """Returns a dict from a name to the TensorFlow variable of each state."""
    return {
        f"{PREFIX}{name}_{number}": state.value
        for name, layer in layers.items()
        for number, state in enumerate(states(layer))
    }


def states(layer) -> list:
    """Returns each generator's state once, in the order of the layers."""
    found = {
        id(generator): generator.state
        for part in compat.layers_within(layer)
        for generator in compat.seed_generators(part)
    }
    return list(found.values())
