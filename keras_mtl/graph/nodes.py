"""The nodes of a functional Keras model, and where gradients go."""

import keras

from keras_mtl import compat


def named_outputs(model) -> dict:
    """Returns a functional model's outputs by task name.

    Raises:
        ValueError: If there are none, or two have the same name.
    """
    outputs = getattr(model, "output", None)
    if isinstance(outputs, dict):
        flat = keras.tree.flatten(outputs)
        if len(flat) == len(outputs):
            return dict(outputs)
    if isinstance(outputs, list | tuple | keras.KerasTensor):
        flat = keras.tree.flatten(outputs)
        names = [compat.made_by(tensor)[0].name for tensor in flat]
        if len(set(names)) == len(names):
            return dict(zip(names, flat, strict=True))
    raise ValueError(
        "from_functional() needs a functional model whose outputs are a dict "
        "from task name to tensor, or come from layers of different names. "
        f"Received outputs: {outputs!r}"
    )


def node_of(tensor):
    """Returns the call of a layer or operation that made a tensor."""
    return compat.made_by(tensor)[1]


def sorted_nodes(tensors):
    """Returns the nodes that lead to these tensors, inputs first."""
    found, done = [], set()
    left = [node_of(tensor) for tensor in tensors]
    while left:
        node = left[-1]
        missing = [
            parent for parent in node.parent_nodes if id(parent) not in done
        ]
        if id(node) in done or not missing:
            left.pop()
            if id(node) not in done:
                done.add(id(node))
                found.append(node)
        else:
            left += missing
    return found


def pulled(node):
    """Returns the inputs of a node that a gradient reaches."""
    if type(node.operation).__name__ == "StopGradient":
        return []
    return [tensor for tensor in node.input_tensors if is_float(tensor)]


def is_float(tensor):
    """Whether a tensor may carry a gradient."""
    return "float" in tensor.dtype
