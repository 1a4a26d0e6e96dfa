"""Which tensors of a traced graph a tensor is computed from."""

from typing import NamedTuple

from keras_mtl import compat
from keras_mtl.gradients.slices import inputs_of_part

# Their results have no gradient, or none that could be other than 0.
WITHOUT_GRADIENT = (
    *("StopGradient", "ZerosLike", "OnesLike", "Shape", "Size", "Rank"),
    *("Floor", "Ceil", "Round", "Rint", "Sign"),
)
CALLS = ("PartitionedCall", "StatefulPartitionedCall")


class Found(NamedTuple):
    """What a walk back has met.

    Args:
        variables: Set of variables, by `id`.
        stopped: Dict from the name of a tensor at which it stopped to the set
            of the parts that were met.
        parts: Dict from variable to the set of the parts that were met.
    """

    variables: set
    stopped: dict
    parts: dict = {}


class VariableUse(NamedTuple):
    """An operation that brings variables and data together.

    Args:
        name: String.
        variables: Set of variables, by `id`.
        data: List of the tensors that the variables are applied to.
    """

    name: str
    variables: set
    data: list


class Ancestry:
    """Walks a traced graph back, along what has a gradient.

    Args:
        variables: Dict from the name of a captured handle to the `id` of its
            variable.
        data: Set of the names of the function's own arguments.
    """

    def __init__(self, variables, data=()):
        self._variables = variables
        self._data = data
        self._follows = {}

    def of(self, tensors, stops=(), part=None) -> Found:
        """Returns what these tensors follow from, as far as `stops`.

        Args:
            tensors: List of tensors.
            stops: Names of tensors to stop at.
            part: `Part` of the tensors, all of them by default.
        """
        parts, stopped, seen = {}, {}, set()
        left = [(tensor, part) for tensor in tensors]
        while left:
            tensor, part = left.pop()
            name = tensor.name
            if (name, part) in seen or (name, None) in seen:
                continue
            seen.add((name, part))
            if name in stops:
                stopped.setdefault(name, set()).add(part)
            elif name in self._variables:
                parts.setdefault(self._variables[name], set()).add(part)
            else:
                left += _parents_of_part(tensor, part)
        return Found(set(parts), stopped, parts)

    def nearest(self, tensors, wanted) -> list[VariableUse]:
        """Returns the uses of `wanted` variables that are met first.

        Args:
            tensors: List of tensors.
            wanted: Set of variables, by `id`.
        """
        uses, seen, left = {}, set(), list(tensors)
        while left:
            tensor = left.pop()
            if tensor.name in seen:
                continue
            seen.add(tensor.name)
            use = self._use(tensor)
            if use.variables & wanted:
                uses[use.name] = use
            else:
                left += use.data
        return list(uses.values())

    def passes(self, tensor, stops) -> bool:
        """Whether variables lead to `tensor` without leading to a stop."""
        seen, left = set(), [tensor]
        while left:
            tensor = left.pop()
            if tensor.name in seen or tensor.name in stops:
                continue
            seen.add(tensor.name)
            use = self._use(tensor)
            if use.variables and not self.of(use.data, stops).stopped:
                return True
            left += use.data
        return False

    def _use(self, tensor):
        parents = _parents(tensor)
        data = [parent for parent in parents if self._follows_data(parent)]
        variables = set()
        for parent in parents:
            if not self._follows_data(parent):
                variables |= self.of([parent]).variables
        return VariableUse(tensor.op.name, variables, data)

    def _follows_data(self, tensor):
        """Whether a tensor depends on the inputs, with a gradient or not."""
        left = [tensor]
        while left:
            tensor = left[-1]
            if tensor.name in self._follows:
                left.pop()
                continue
            if tensor.name in self._data:
                self._follows[tensor.name] = True
                continue
            inputs = [] if _is_size(tensor.op) else list(tensor.op.inputs)
            unknown = [i for i in inputs if i.name not in self._follows]
            if unknown:
                left += unknown
                continue
            self._follows[tensor.name] = any(
                self._follows[i.name] for i in inputs
            )
        return self._follows[tensor.name]


def _parents(tensor):
    """Returns the inputs of a tensor's operation that a gradient reaches."""
    return [parent for parent, _ in _parents_of_part(tensor, None)]


def _parents_of_part(tensor, part):
    """Returns the same with the part of each that a part is made of."""
    op = tensor.op
    if op.type in WITHOUT_GRADIENT:
        return []
    if op.type in CALLS:
        pairs = [(argument, None) for argument in _arguments(tensor)]
    else:
        pairs = inputs_of_part(op, tensor.value_index, part)
    return [(i, own) for i, own in pairs if _carries(i.dtype)]


def _arguments(tensor):
    """Returns the arguments of a call that one of its results reads."""
    op = tensor.op
    body = compat.called_function(op)
    if body is None:
        return list(op.inputs)
    graph = body.graph
    names = [argument.name for argument in graph.inputs]
    walk = Ancestry({}).of([graph.outputs[tensor.value_index]], set(names))
    pairs = zip(names, op.inputs, strict=True)
    return [outer for name, outer in pairs if name in walk.stopped]


def _carries(dtype):
    return not (dtype.is_integer or dtype.is_bool or dtype.name == "string")


def _is_size(op):
    return op.type in ("Shape", "Size", "Rank")
