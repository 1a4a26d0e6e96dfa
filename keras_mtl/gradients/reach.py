"""Which variables a task's output depends on, read off the traced graph."""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_mtl import compat
from keras_mtl.gradients.alone import read_by_one, read_by_part
from keras_mtl.gradients.ancestry import Ancestry
from keras_mtl.tasks.separate import plain


class Reach(NamedTuple):
    """What the outputs of a model follow from, with a gradient.

    Variables stand by their `id`. A unit is a task, or all stacked tasks.

    Args:
        above: Dict from unit to the set of variables that lead to its output
            from the cut.
        reads: Dict from unit to the set of numbers of the leaves it reads.
        below: List of sets, the variables that lead to each leaf of the cut.
        lowest: Tuple of numbers: the leaves of what tasks share that do not
            follow from each other and that lead to all the others; `None` if
            there are none.
        last: Dict from unit to the set of shared variables that were used last
            on the way to the leaves that it reads.
        last_of_all: The set of those that no other one comes after.
        shapes: List of tuples, the shapes of the leaves of the cut.
        follows: The set of units that follow from any variable, frozen or not.
        several: The set of variables of which several stacked tasks read the
            same part.
        alone: List, for each leaf of the cut, of `Owners` where each part of
            it serves one task alone, or `None`.
    """

    above: dict
    reads: dict
    below: list
    lowest: Any
    last: dict
    last_of_all: frozenset
    shapes: list
    follows: frozenset = frozenset()
    several: frozenset = frozenset()
    alone: Any = ()

    def owners(self) -> dict:
        """Returns a dict from variable to the set of units that reach it."""
        found = {}
        for unit, variables in self.above.items():
            leaves = [self.below[number] for number in self.reads[unit]]
            for variable in variables.union(*leaves):
                found.setdefault(variable, set()).add(unit)
        return found

    def all_below(self) -> set:
        """Returns the variables that lead to the cut."""
        return set().union(*self.below)

    def shared_below(self) -> list[set]:
        """Returns those that lead to each leaf and serve several units.

        With a single unit, all that lead to it.
        """
        if len(self.above) == 1:
            return self.below
        shared = {v for v, units in self.owners().items() if len(units) > 1}
        return [variables & shared for variables in self.below]


def trace_reach(model) -> Reach:
    """Traces a forward pass of `model`, and follows it back.

    Args:
        model: A built `MultiTaskModel`.
    """
    with tf.init_scope():
        graph, cut, outputs = _traced(model)
    captured = {
        id(external): internal.name for external, internal in graph.captures
    }

    def named(variables):
        return {
            captured[id(handle)]: id(variable)
            for variable in variables
            for handle in _handles(variable)
            if id(handle) in captured
        }

    arguments = {tensor.name for tensor in graph.inputs}
    names = named(model.trainable_variables)
    ancestry = Ancestry(names, arguments - set(captured.values()))
    reach = _read(ancestry, cut, outputs, model.task_names)
    frozen = [
        variable
        for layer in compat.layers_within(model)
        for variable in compat.own_trainable(layer)
    ]
    of_all = Ancestry(names | named(frozen))
    reach = reach._replace(
        follows=frozenset(
            u for u, o in outputs.items() if of_all.of(o).variables
        )
    )
    if model.is_cut_declared:
        every = tuple(range(len(reach.below)))
    else:
        every = _lowest(ancestry, cut[0], reach.shared_below())
    return reach._replace(lowest=every or None)


def _read(ancestry, cut, outputs, tasks):
    tensors, copies = cut
    stops = {copy.name: number for number, copy in enumerate(copies)}
    above, reads = {}, {}
    for unit, output in outputs.items():
        found = ancestry.of(output, stops)
        above[unit] = found.variables
        reads[unit] = {stops[name] for name in found.stopped}
    below = [ancestry.of([tensor]).variables for tensor in tensors]
    shapes = [tuple(tensor.shape) for tensor in tensors]
    reach = Reach(above, reads, below, None, {}, frozenset(), shapes)
    shared = {v for v, units in reach.owners().items() if len(units) > 1}
    if len(tasks) > len(outputs) == 1:
        ((output,),) = outputs.values()
        num_tasks = len(tasks)
        alone, several = read_by_part(output, ancestry, cut, shapes, num_tasks)
        reach = reach._replace(alone=alone, several=several)
        shared = set(several)
    elif len(outputs) == 1:
        shared |= reach.all_below()
    elif set(outputs) == set(tasks):
        alone = read_by_one(reads, [*tasks], len(shapes))
        reach = reach._replace(alone=alone)
    uses = {
        unit: ancestry.nearest([tensors[n] for n in reads[unit]], shared)
        for unit in outputs
    }
    if not any(uses.values()):  # All that is shared lies above the cut.
        uses = {
            unit: ancestry.nearest(output, shared)
            for unit, output in outputs.items()
        }
    last = {
        unit: _last(ancestry, found, shared) for unit, found in uses.items()
    }
    every = {use.name: use for found in uses.values() for use in found}
    return reach._replace(
        last=last,
        last_of_all=_last(ancestry, every.values(), shared),
    )


def _last(ancestry, uses, shared):
    """Returns the variables of the uses that lead to no other of them."""
    uses = list(uses)
    earlier = set()
    for use in uses:
        earlier |= ancestry.of(use.data).variables - use.variables
    found = [use.variables & shared - earlier for use in uses]
    return frozenset().union(*found)


def _lowest(ancestry, tensors, below):
    """Returns the numbers of the leaves that lead to all others, or `None`."""
    if not any(below):
        return None
    trained = {
        tensor.name
        for tensor, variables in zip(tensors, below, strict=True)
        if variables
    }
    lowest = tuple(
        number
        for number, tensor in enumerate(tensors)
        if below[number]
        and not ancestry.of(list(tensor.op.inputs), trained).stopped
    )
    stops = {tensors[number].name for number in lowest}
    rest = [t for n, t in enumerate(tensors) if n not in lowest and below[n]]
    if any(ancestry.passes(tensor, stops) for tensor in rest):
        return None
    return lowest or None


def _traced(model):
    """Returns graph, flat `Cut` and outputs by unit of a forward pass."""
    specs = plain(
        model.input_structure,
        _spec,
    )
    # What is synchronised over replicas while training cannot be traced here.
    training = model.distribute_strategy.num_replicas_in_sync == 1
    traced = []

    def forward(inputs):
        with keras.StatelessScope():
            outputs, cut, _ = model(
                keras.tree.pack_sequence_as(specs, inputs),
                training=training,
                return_representation=True,
                apart=True,
            )
        traced.append((outputs, cut))
        return keras.tree.flatten(outputs)

    function = tf.function(forward, autograph=False)
    graph = function.get_concrete_function(keras.tree.flatten(specs)).graph
    outputs, cut = traced[-1]
    units = {
        unit: keras.tree.flatten(output)
        for unit, output in model.arrangement.by_unit(outputs).items()
        if unit in model.task_names or unit not in model.output_names
    }
    return graph, cut.floating(), units


def _handles(variable):
    """Returns a variable's handles, one on each replica."""
    copies = getattr(variable.value, "values", None)
    return [copy.handle for copy in copies or [variable.value]]


def _spec(tensor):
    shape = (None, *tensor.shape[1:])
    if getattr(tensor, "ragged", False):
        return tf.RaggedTensorSpec(shape, tensor.dtype)
    if getattr(tensor, "sparse", False):
        return tf.SparseTensorSpec(shape, tensor.dtype)
    return tf.TensorSpec(shape, tensor.dtype)
