"""The numbers and layers in a scope, which give signals their shapes."""

import math

from keras_mtl import compat
from keras_mtl.gradients import roles


def bind_to_scope(model):
    """Builds a weighter whose signals have the shapes of the model's scope.

    Unless it rests, since nothing that the tasks share is trainable.

    Args:
        model: A built and compiled `MultiTaskModel`.
    """
    if model.weighter.model_axes and roles.shared_variables(model):
        sizes = scope_sizes(model, model.weighter)
        names = model.task_names
        model.weighter.bind(len(names), names, sizes)


def scope_sizes(model, weighter) -> dict[str, int]:
    """Returns the length of each axis that a weighter asks the model for.

    Args:
        model: A built `MultiTaskModel`.
        weighter: `Weighter` whose signals have such axes.

    Raises:
        ValueError: If the scope has no such size.
    """
    lengths = {
        "number": lambda: _numbers(model, weighter.scope),
        "coordinate": lambda: cut_size(model),
        "layer": lambda: len(scope_layers(model, weighter.scope)),
    }
    return {axis: lengths[axis]() for axis in weighter.model_axes}


def scope_layers(model, scope) -> list[list]:
    """Returns the variables of a scope, grouped by the layer that owns them.

    Raises:
        ValueError: If the scope is the representation.
    """
    if scope in ("representation", "auto"):
        raise ValueError(
            f"{type(model.weighter).__name__} weighs each layer by itself, and "
            f"the representation has none: argument `scope` must be 'shared' "
            f"or name layers. Received: scope={scope!r}"
        )
    owner = {
        id(variable): id(layer)
        for layer in compat.layers_within(model)
        for variable in compat.own_trainable(layer)
    }
    groups = {}
    for variable in roles.scope_variables(model, scope):
        groups.setdefault(owner[id(variable)], []).append(variable)
    return list(groups.values())


def cut_size(model) -> int:
    """Returns how many numbers one row of the cut has.

    Raises:
        ValueError: If that is not known.
    """
    roles.check_cut(model)
    return _size_of(model, roles.of(model).reach.shapes)


def representation_size(model) -> int:
    """Returns how many numbers one row of the representation has.

    Raises:
        ValueError: If that is not known.
    """
    roles.check_representation(model)
    reach = roles.of(model).reach
    return _size_of(model, [reach.shapes[n] for n in reach.lowest or ()])


def _size_of(model, shapes):
    shapes = [shape[1:] for shape in shapes]
    if any(None in shape for shape in shapes):
        raise ValueError(
            f"{type(model.weighter).__name__} reads each coordinate of the "
            "representation, whose axes but the first must be of known "
            f"length. Received: {shapes}. Pool it, or pad the inputs."
        )
    return sum(map(math.prod, shapes))


def _numbers(model, scope):
    if scope == "representation":
        return representation_size(model)
    variables = roles.scope_variables(model, scope)
    return sum(math.prod(variable.shape) for variable in variables)
