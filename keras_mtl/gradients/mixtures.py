"""Mixtures of experts, recognised in the graph."""

from typing import NamedTuple

import tensorflow as tf

from keras_mtl.gradients.contractions import labels_of


class Mixture(NamedTuple):
    """How the tasks' representations are made of a leaf.

    Args:
        gates: `(B, K, E)` float32.
        leaf: The leaf, its axes those of `labels`.
        labels: String of three letters: b, e and u in the leaf's order.
    """

    gates: tf.Tensor
    leaf: tf.Tensor
    labels: str

    def pulled(self, cotangents):
        """Returns the tasks' gradients at the leaf, `(K, ...)`.

        Args:
            cotangents: `Cotangents` of the representations.
        """
        stacked = cotangents.einsum(self.gates, f"k{self.labels}")
        return tf.cast(stacked, self.leaf.dtype)

    def summed(self, cotangents, coefficients):
        """Returns the weighted sum of the tasks' gradients at the leaf."""
        gates = self.gates * coefficients[:, None]
        return tf.cast(cotangents.einsum(gates, self.labels), self.leaf.dtype)


def mixture_of(leaf, own):
    """Returns the `Mixture` of a leaf that one product alone reads, or `None`.

    The product must be the representations themselves.

    Args:
        leaf: Tensor of the cut.
        own: `(B, K, U)`, the tasks' representations.
    """
    if not tf.is_symbolic_tensor(leaf):
        return None
    tensor, op = _only_reader(leaf)
    found = None if op is None else labels_of(op)
    if found is None:
        return None
    alone = sum(operand is tensor for operand in op.inputs) == 1
    if not alone or not _is(own, op.outputs[0]):
        return None
    place = 0 if op.inputs[0] is tensor else 1
    ours, theirs, result = found[place], found[1 - place], found[2]
    if len(ours) != 3 or len(theirs) != 3 or len(result) != 3:
        return None
    batch, task, unit = result
    experts = set(ours) - {batch, unit}
    if len(experts) != 1 or set(ours) & {task}:
        return None
    (expert,) = experts
    if set(theirs) != {batch, task, expert}:
        return None
    gates = op.inputs[1 - place]
    if gates.shape[theirs.index(expert)] != tensor.shape[ours.index(expert)]:
        return None  # Stretched along an axis of length 1.
    gates = tf.einsum(f"{theirs}->{batch}{task}{expert}", gates)
    names = {batch: "b", expert: "e", unit: "u"}
    return Mixture(
        tf.cast(gates, tf.float32), leaf, "".join(names[x] for x in ours)
    )


def _is(own, product):
    """Whether a product arrives as `own`, unchanged or in a sum."""
    if own is product:
        return True
    if own.op.type in ("Cast", "Identity"):
        return _is(own.op.inputs[0], product)
    if own.op.type not in ("AddV2", "Add", "AddN"):
        return False
    # Read by the sum alone, once, and not stretched.
    return any(
        len(addend.consumers()) == 1
        and sum(other is addend for other in own.op.inputs) == 1
        and addend.shape.as_list() == own.shape.as_list()
        and _is(addend, product)
        for addend in own.op.inputs
    )


def mixture_of_each(leaf, own):
    """Returns the `Mixture` of a leaf that each task reads in one product.

    Args:
        leaf: Tensor of the cut.
        own: List of K tensors, the tasks' representations.
    """
    if not tf.is_symbolic_tensor(leaf):
        return None
    readers = _readers(leaf)
    if len(readers) != len(own):
        return None
    gates, labels = [], set()
    for mine in own:
        found = [r for r in readers if _is(mine, r[1].outputs[0])]
        weights = _weights(*found[0]) if len(found) == 1 else None
        if weights is None:
            return None
        gates.append(weights[0])
        labels.add(weights[1])
    if len(labels) > 1:
        return None
    gates = tf.cast(tf.stack(gates, axis=1), tf.float32)
    return Mixture(gates, leaf, *labels)


def _weights(tensor, op):
    """Returns the `(B, E)` weights of a mixture, and the labels of the leaf."""
    found = labels_of(op)
    if found is None or sum(t is tensor for t in op.inputs) != 1:
        return None
    place = 0 if op.inputs[0] is tensor else 1
    ours, theirs, result = found[place], found[1 - place], found[2]
    if len(ours) != 3 or len(theirs) != 2 or len(result) != 2:
        return None
    batch, unit = result
    experts = set(ours) - set(result)
    if len(experts) != 1 or set(theirs) != {batch, *experts}:
        return None
    (expert,) = experts
    gates = op.inputs[1 - place]
    if gates.shape[theirs.index(expert)] != tensor.shape[ours.index(expert)]:
        return None  # Stretched along an axis of length 1.
    if theirs != batch + expert:
        gates = tf.transpose(gates)
    names = {batch: "b", expert: "e", unit: "u"}
    return gates, "".join(names[x] for x in ours)


def unit_products(own):
    """Returns the products `(B, K)` that heads of one unit start with.

    And the `(K, U)` matrix whose row k they multiply task k's representation
    by; `None` if anything else reads the representations.

    Args:
        own: `(B, K, U)`, the tasks' representations.
    """
    if not tf.is_symbolic_tensor(own):
        return None
    tensor, op = _only_reader(own)
    if op is None or op.type != "Mul":
        return None
    matrices = [other for other in op.inputs if other is not tensor]
    if len(matrices) != 1 or matrices[0].shape != own.shape[1:]:
        return None
    product, op = _only_reader(op.outputs[0])
    if op is None or op.type != "Sum" or op.get_attr("keep_dims"):
        return None
    axes = tf.get_static_value(op.inputs[1])
    if op.inputs[0] is not product or axes is None:
        return None
    if axes.ravel().tolist() not in ([2], [-1]):
        return None
    return op.outputs[0], matrices[0]


def _only_reader(tensor):
    """Returns the operation that reads a tensor, and as what it reads it.

    The operation is `None` if there is none, or more than one.
    """
    readers = _readers(tensor)
    return readers[0] if len(readers) == 1 else (tensor, None)


def _readers(tensor):
    """Returns the operations that read a tensor, each with what it reads."""
    found = []
    for op in tensor.consumers():
        if op.type in ("Cast", "Identity"):
            found += _readers(op.outputs[0])
        else:
            found.append((tensor, op))
    return found
