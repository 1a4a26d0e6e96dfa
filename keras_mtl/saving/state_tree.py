"""A model's state as a tree of arrays, which Orbax checkpoints hold.

Keras goes by the paths of variables, which depend on how a model was built and
on what else was made before, and passes over those that it does not find.
"""

import tensorflow as tf

from keras_mtl.saving import partial_loading
from keras_mtl.training import random_state
from keras_mtl.training.attachment import build_optimizer

WEIGHTS = "trainable_variables", "non_trainable_variables"
OPTIMIZER, METRICS = "optimizer_variables", "metrics_variables"


def state_tree(model, value_format) -> dict:
    """Returns values by section, and by the names of `_variables`.

    Args:
        model: `MultiTaskModel`, built.
        value_format: `"numpy_array"` or `"backend_tensor"`.
    """
    trainable = {id(variable) for variable in model.trainable_variables}
    sections = {name: {} for name in (*WEIGHTS, OPTIMIZER, METRICS)}
    for name, variable in _variables(model).items():
        value = tf.convert_to_tensor(variable)
        value = value.numpy() if value_format == "numpy_array" else value
        sections[WEIGHTS[id(variable) not in trainable]][name] = value
    for name, slot in _slots(model).items():
        value = tf.convert_to_tensor(slot)
        value = value.numpy() if value_format == "numpy_array" else value
        sections[OPTIMIZER][name] = value
    return sections


def assign(model, tree):
    """Gives a model the state of `state_tree`, of one built alike.

    Raises:
        ValueError: If the model has other variables than the tree, whose
            values are then left alone.
    """
    saved = {}
    for section in WEIGHTS:
        saved |= tree.get(section, {})
    if tree.get(OPTIMIZER) and model.compiled and model.built:
        build_optimizer(model)
    variables, slots = _variables(model), _slots(model)
    if not model.compiled:
        kept = {n: v for n, v in saved.items() if not n.startswith("training:")}
        saved = kept
    pairs = _pairs("variables", variables, saved)
    if tree.get(OPTIMIZER) and model.compiled:
        pairs += _pairs("optimizer variables", slots, tree[OPTIMIZER])
    for variable, value in pairs:
        variable.assign(tf.cast(value, variable.dtype))


def _pairs(what, own, saved):
    other = sorted(own.keys() ^ saved.keys()) or sorted(
        name
        for name, variable in own.items()
        if tuple(variable.shape) != tf.convert_to_tensor(saved[name]).shape
    )
    if other:
        raise ValueError(
            f"The checkpoint does not fit the model: {what} {other[:4]} are in "
            "one of them only, or of another shape. Load it into a model with "
            "the same layers, tasks in the same order, optimizer and weighter, "
            "that was called once or trained."
        )
    return [(variable, saved[name]) for name, variable in own.items()]


def _variables(model):
    """Returns all variables by part of the model and position in it."""
    found, known = {}, set()
    for part, layer in _parts(model).items():
        for number, variable in enumerate(layer.weights):
            if id(variable) not in known:
                known.add(id(variable))
                found[f"{part}.{number}.{variable.name}"] = variable
    found |= random_state.variables(model._parts())
    if model.compiled:
        found["training:epoch"] = model.epoch
    return found


def _parts(model):
    parts = {**model._parts(), "discriminator": model.discriminator}
    if model.compiled:
        # State goes by position: of these tasks, in this order.
        name = type(model.weighter).__name__
        tasks = ",".join(model.weighter.task_names or model.task_names)
        parts[f"training:{name}({tasks})"] = model.weighter
    return {name: layer for name, layer in parts.items() if layer is not None}


def _slots(model):
    if not (model.compiled and model.optimizer.built):
        return {}
    names = [n.replace("/", ".") for n in partial_loading.names_of_slots(model)]
    return dict(zip(names, model.optimizer.variables, strict=True))
