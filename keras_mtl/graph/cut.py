"""Where the tasks of a functional Keras model part: its cut."""

import keras

from keras_mtl import compat
from keras_mtl.checks import did_you_mean
from keras_mtl.graph.nodes import (
    is_float,
    named_outputs,
    node_of,
    pulled,
    sorted_nodes,
)
from keras_mtl.layers.select import Select
from keras_mtl.tasks.separate import Cut


class FunctionalGraph:
    """A functional model, cut into what the tasks share and the rest.

    The cut is the set of tensors that more than one task depends on and that
    something of a single task reads: the branching points of a tree, the
    outputs of experts that gates mix. Dependence is that of gradients, so that
    `keras.ops.stop_gradient` ends it.

    Args:
        model: Functional Keras model with named outputs.
        representation: Name of a layer, or list of names, whose outputs are
            the cut; found where it is `None`.

    Attributes:
        model: The model.
        representation: The argument.
        outputs: Dict from task name to symbolic output.
        separates: Boolean. Whether anything trainable lies below the cut.
        num_leaves: Integer. How many of the encoder's outputs are the cut;
            the rest, such as masks, are read above it without a gradient.
        encoder: Keras model, inputs -> cut and what else is read above it.

    Raises:
        ValueError: If outputs have no names, there is no such layer, or an
            output has another path to the inputs than through the named ones.
    """

    def __init__(self, model, representation=None):
        self.model, self.representation = model, representation
        self.outputs = named_outputs(model)
        self._nodes = sorted_nodes(self.outputs.values())
        self._has_weights = self._find_weights()
        self._tasks = self._find_tasks()
        if representation is None:
            leaves = self._find_cut()
        else:
            leaves = self._named(representation)
        self.separates = bool(leaves)
        if representation is not None:
            self._check_paths(leaves)
        leaves = leaves or list(model.inputs)
        past = self._past(leaves, self.outputs.values())
        # Between two named ones, say: it is read above them.
        joined = [tensor for tensor in past if id(tensor) in self._has_weights]
        leaves += joined
        past = [
            tensor for tensor in past if id(tensor) not in self._has_weights
        ]
        self.num_leaves = len(leaves)
        self._given = [*leaves, *past]
        single = len(self._given) == 1
        inputs = _inputs(model)
        self.encoder = keras.Model(
            inputs, self._given[0] if single else self._given
        )
        self._above = keras.Function(self._given, self.outputs)
        self._above_of_task = {}

    def heads(self) -> dict:
        """Returns a model for each task, encoder's outputs -> prediction."""
        single = len(self._given) == 1
        places = {id(tensor): n for n, tensor in enumerate(self._given)}
        heads = {}
        for task, output in self.outputs.items():
            place = places.get(id(output))
            if place is None:
                # Of tensors of their own: where Keras cuts a graph at inputs
                # and in the middle, these inputs are no longer the model's.
                given = [
                    keras.Input(batch_shape=t.shape, dtype=t.dtype)
                    for t in self._given
                ]
                output = self._above_for(task).call(given)
                heads[task] = keras.Model(given[0] if single else given, output)
            else:  # Others go on from this output.
                head = keras.layers.Identity() if single else Select(place)
                head.built = True  # It is called on separate inputs only.
                heads[task] = head
        return heads

    def predict(self, given, by_task=False) -> dict:
        """Returns the outputs, of what the encoder returned, or by task."""
        if not by_task:
            return self._above(keras.tree.flatten(given))
        return {
            task: self._above_for(task)(keras.tree.flatten(given[task]))
            for task in self.outputs
            if task in given
        }

    def _above_for(self, task):
        # A model of Keras would warn of masks, which a function passes on.
        if task not in self._above_of_task:
            self._above_of_task[task] = keras.Function(
                self._given, self.outputs[task]
            )
        return self._above_of_task[task]

    def leaves(self, cut, by_task) -> tuple:
        """Returns a `Cut` and cuts by task without what is read besides."""
        if len(self._given) == self.num_leaves:
            return cut, by_task
        number = self.num_leaves
        if isinstance(cut.tensors, dict):
            kept = [{k: v[:number] for k, v in p.items()} for p in cut[:2]]
        else:
            kept = [part[:number] for part in cut[:2]]
        by_task = {task: part[:number] for task, part in by_task.items()}
        return Cut(*kept), by_task

    def _find_weights(self):
        """Returns the tensors that something trainable leads to, by `id`."""
        found = set()
        for node in self._nodes:
            layer = node.operation
            own = isinstance(layer, keras.layers.Layer) and any(
                compat.own_trainable(part)
                for part in compat.layers_within(layer)
            )
            if own or any(id(t) in found for t in pulled(node)):
                found |= {id(t) for t in node.outputs if is_float(t)}
        return found

    def _find_tasks(self):
        """Returns the tasks that depend on each tensor, by its `id`."""
        found = {id(t): set() for node in self._nodes for t in node.outputs}
        for task, output in self.outputs.items():
            found[id(output)].add(task)
        for node in reversed(self._nodes):
            tasks = set().union(*(found[id(t)] for t in node.outputs))
            for tensor in pulled(node):
                found[id(tensor)] |= tasks
        return found

    def _find_cut(self):
        if len(self.outputs) == 1:
            return list(self.outputs.values())
        outputs = {id(output) for output in self.outputs.values()}
        single = set(outputs)
        for node in self._nodes:
            tasks = set().union(*(self._tasks[id(t)] for t in node.outputs))
            if len(tasks) == 1:
                single |= {id(t) for t in pulled(node)}
        return [
            tensor
            for node in self._nodes
            for tensor in node.outputs
            if id(tensor) in single & self._has_weights
            and len(self._tasks[id(tensor)]) > 1
        ]

    def _named(self, representation):
        """Returns what the named layers give and the outputs depend on."""
        names = representation
        names = [names] if isinstance(names, str) else list(names)
        known = {node.operation.name: node.operation for node in self._nodes}
        leaves = []
        for name in names:
            if name not in known:
                raise ValueError(
                    f"Argument `representation` names no layer of the model: "
                    f"{name!r}.{did_you_mean(name, known)} Layers: "
                    f"{sorted(known)}."
                )
            mine = [
                tensor
                for node in self._nodes
                if node.operation is known[name]
                for tensor in node.outputs
                if self._tasks[id(tensor)]
            ]
            if not any(id(tensor) in self._has_weights for tensor in mine):
                raise ValueError(
                    f"The layer {name!r} separates nothing: no trainable "
                    "layer lies below it, or no output depends on it. Name "
                    "the layer whose output the tasks share, or leave "
                    "`representation` out."
                )
            served = set().union(*(self._tasks[id(t)] for t in mine))
            if len(served) == 1 < len(self.outputs):
                raise ValueError(
                    f"The layer {name!r} separates nothing: the output "
                    f"{served.pop()!r} alone depends on it. Name a layer that "
                    "several outputs depend on."
                )
            leaves += mine
        return leaves

    def _past(self, leaves, outputs):
        """Returns what is read above the leaves but made below them."""
        below = set(map(id, sorted_nodes(leaves)))
        stops = {id(leaf) for leaf in leaves}
        found, seen, left = {}, set(), list(outputs)
        while left:
            tensor = left.pop()
            if id(tensor) in seen | stops:
                continue
            seen.add(id(tensor))
            node = node_of(tensor)
            if node.is_input or id(node) in below:
                found[id(tensor)] = tensor
            else:
                left += node.input_tensors
        return list(found.values())

    def _check_paths(self, leaves):
        """Raises if a gradient passes the leaves by."""
        after = self._after(leaves)
        stops = {id(leaf) for leaf in leaves}
        for task, output in self.outputs.items():
            past, seen, left = id(output) not in after, set(), [output]
            while left:
                tensor = left.pop()
                if id(tensor) in seen | stops:
                    continue
                seen.add(id(tensor))
                left += pulled(node_of(tensor))
                past |= id(tensor) in self._has_weights - after
            if past:
                raise ValueError(
                    f"The output {task!r} does not follow from layer "
                    f"{self.representation!r} alone. Name a layer that all "
                    "outputs pass through, or leave `representation` out."
                )

    def _after(self, leaves):
        """Returns the leaves, and what follows from them, by `id`."""
        found = {id(leaf) for leaf in leaves}
        for node in self._nodes:
            if any(id(tensor) in found for tensor in pulled(node)):
                found |= {id(tensor) for tensor in node.outputs}
        return found


def _inputs(model):
    if isinstance(model, keras.Sequential):
        return model.inputs[0]
    return model.input
