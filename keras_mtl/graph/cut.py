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
from keras_mtl.graph.section import Section
from keras_mtl.layers.select import Select


class FunctionalGraph:
    """A functional model, cut into what the tasks share and the rest.

    The cut is the set of tensors that more than one task depends on and that
    something of a single task reads: the branching points of a tree, the
    outputs of experts that gates mix. Where tasks part inside a layer, one of
    whose outputs each of them reads, these outputs are in the cut. Dependence
    is that of gradients, so that `keras.ops.stop_gradient` ends it. Outputs
    without a loss are no tasks: they are predicted, and the model is cut as if
    they were not there.

    Args:
        model: Functional Keras model with named outputs.
        representation: Name of a layer, or list of names, whose outputs are
            the cut; found where it is `None`.

    Attributes:
        model: The model.
        representation: The argument.
        outputs: Dict from task name to symbolic output.
        separates: Boolean. Whether anything trainable lies below the cut of
            all outputs.
        encoder: Keras model, inputs -> cut of all outputs and what else is
            read above it.

    Raises:
        ValueError: If outputs have no names, or there is no such layer.
    """

    def __init__(self, model, representation=None):
        self.model, self.representation = model, representation
        self.outputs = named_outputs(model)
        self._nodes = sorted_nodes(self.outputs.values())
        self._has_weights = self._find_weights()
        self._named_leaves = None
        if representation is not None:
            self._named_leaves = self._named(representation)
        self.separates = bool(self._cut(self.outputs))
        self._sections = {}
        self.encoder = self.section(self.outputs).below

    def section(self, tasks) -> Section:
        """Returns the model, cut where the outputs of these tasks part."""
        tasks = tuple(tasks)
        if tasks not in self._sections:
            self._sections[tasks] = self._make_section(tasks)
        return self._sections[tasks]

    def _make_section(self, tasks):
        trained = [self.outputs[task] for task in tasks]
        leaves = self._cut(tasks) or list(self.model.inputs)
        # Between two named ones, say: it is read above them.
        joined = [
            tensor
            for tensor in self._past(leaves, trained)
            if id(tensor) in self._has_weights
        ]
        leaves = [*leaves, *joined]
        others = self._past(leaves, self.outputs.values())
        return Section(_inputs(self.model), self.outputs, leaves, others)

    def check_paths(self, tasks):
        """Raises if a gradient of a task passes the named layers by.

        Args:
            tasks: Names of the outputs that have a loss.

        Raises:
            ValueError: With the name of the output.
        """
        if self._named_leaves is None:
            return
        leaves = self._named_leaves
        after = self._after(leaves)
        for task in tasks:
            output = self.outputs[task]
            past = self._passes_by(leaves, after, [output])
            if past or id(output) not in after:
                raise ValueError(
                    f"The output {task!r} has a loss and does not follow from "
                    f"layer {self.representation!r} alone. Name a layer that "
                    "all outputs with a loss pass through, or leave "
                    "`representation` out."
                )

    def heads(self) -> dict:
        """Returns a model for each task, encoder's outputs -> prediction."""
        section = self.section(self.outputs)
        given, single = section.given, section.is_single
        places = {id(tensor): n for n, tensor in enumerate(given)}
        heads = {}
        for task, output in self.outputs.items():
            place = places.get(id(output))
            if place is None:
                # Of tensors of their own: where Keras cuts a graph at inputs
                # and in the middle, these inputs are no longer the model's.
                own = [
                    keras.Input(batch_shape=t.shape, dtype=t.dtype)
                    for t in given
                ]
                output = section.above(task).call(own)
                heads[task] = keras.Model(own[0] if single else own, output)
            else:  # Others go on from this output.
                head = keras.layers.Identity() if single else Select(place)
                head.built = True  # It is called on separate inputs only.
                heads[task] = head
        return heads

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

    def _find_tasks(self, tasks):
        """Returns which of the tasks depend on each tensor, by its `id`."""
        found = {id(t): set() for node in self._nodes for t in node.outputs}
        for task in tasks:
            found[id(self.outputs[task])].add(task)
        for node in reversed(self._nodes):
            mine = set().union(*(found[id(t)] for t in node.outputs))
            for tensor in pulled(node):
                found[id(tensor)] |= mine
        return found

    def _cut(self, tasks):
        """Returns the cut of these tasks: the named leaves, or found ones."""
        if self._named_leaves is not None:
            return list(self._named_leaves)
        outputs = [self.outputs[task] for task in tasks]
        if len(outputs) == 1:
            return outputs
        depend = self._find_tasks(tasks)
        single, parted = set(map(id, outputs)), set()
        for node in self._nodes:
            mine = set().union(*(depend[id(t)] for t in node.outputs))
            if len(mine) == 1:
                single |= {id(t) for t in pulled(node)}
            elif mine:
                parted |= {
                    id(t) for t in node.outputs if len(depend[id(t)]) == 1
                }
        leaves = [
            tensor
            for node in self._nodes
            for tensor in node.outputs
            if id(tensor) in self._has_weights
            and (
                id(tensor) in parted
                or (id(tensor) in single and len(depend[id(tensor)]) > 1)
            )
        ]
        return [*leaves, *self._start(leaves, depend)]

    def _start(self, leaves, depend):
        """Returns what all leaves follow from, if it is not among them.

        The outputs of one layer; none where there is no such layer.
        """
        after = self._after(leaves)
        first = [
            leaf
            for leaf in leaves
            if not any(id(t) in after for t in pulled(node_of(leaf)))
        ]
        if not self._passes_by(first, self._after(first), leaves):
            return []
        for node in reversed(self._nodes):
            found = [t for t in node.outputs if depend[id(t)]]
            after = self._after(found)
            if found and not self._passes_by(found, after, leaves):
                return [t for t in found if id(t) in self._has_weights]
        return []

    def _passes_by(self, stops, after, tensors):
        """Whether something trainable leads to tensors past the stops.

        Args:
            stops: List of tensors.
            after: What `_after` finds of them.
            tensors: List of tensors.
        """
        seen, left = set(map(id, stops)), list(tensors)
        while left:
            tensor = left.pop()
            if id(tensor) in seen:
                continue
            seen.add(id(tensor))
            if id(tensor) in self._has_weights - after:
                return True
            left += pulled(node_of(tensor))
        return False

    def _named(self, representation):
        """Returns what the named layers give and the outputs depend on."""
        names = representation
        names = [names] if isinstance(names, str) else list(names)
        known = {node.operation.name: node.operation for node in self._nodes}
        depend = self._find_tasks(self.outputs)
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
                if depend[id(tensor)]
            ]
            if not any(id(tensor) in self._has_weights for tensor in mine):
                raise ValueError(
                    f"The layer {name!r} separates nothing: no trainable "
                    "layer lies below it, or no output depends on it. Name "
                    "the layer whose output the tasks share, or leave "
                    "`representation` out."
                )
            served = set().union(*(depend[id(t)] for t in mine))
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
