"""The floating-point operations that a step needs at the least.

Counted are the multiplications and additions of matrix products and of sums
over tasks, for an encoder that is a chain of dense layers, heads that are a
dense layer each, and inputs that the tasks share. Not counted are biases,
activations, losses, the optimizer and solvers, which take little beside the
products of large layers.

With B rows, a dense layer from n to m units takes a product of `2Bnm`
operations forward, one for the gradient of its kernel and one for that of its
inputs, which the first layer of all needs not. That is the uniform step. Beyond
it, by what a weighter measures, for K tasks with U units of heads in all and D
units of the representation:

- **Tasks' gradients at the representation** are, for dense heads, what the
  uniform step sums within one product: they cost nothing, and their sum by
  weights costs `2KBD`. Their Gramian needs none of them: it is
  `(ΔᵀΔ) ∘ (WᵀW)`, summed over each task's units, with all heads' cotangents Δ
  `(B, U)` and kernels W `(D, U)`.
- **Tasks' gradients at a layer's outputs or of its kernel** are K products
  where the uniform step has one, whose result is then their sum by weights, or
  one more product where that is cheaper.
- **Gramian of a kernel**, from inputs A `(B, n)` and the tasks' cotangents
  Δ_k `(B, m)`: the cheapest of the products of the gradients `AᵀΔ_k`; of `Δ_i`
  and `(A Aᵀ) Δ_j`; and of `LᵀΔ_i`, where `A Aᵀ = L Lᵀ`. Symmetric products and
  those with a triangle count half. **Norms** need no products of two tasks:
  those of `A Aᵀ` and `Δ_k Δ_kᵀ` do. **Between query and support batch**
  nothing is symmetric, and the factor serves nothing; nor **between halves**
  of a batch, which have a quarter of the products of rows.
- **A query batch** takes a forward pass, and gradients of its own.
"""

from typing import NamedTuple

import keras

from keras_mtl.lab.benchmarks.declaration import Declaration, declaration
from keras_mtl.signals import SIGNALS


class Dense(NamedTuple):
    """A dense layer on a batch.

    Args:
        rows: Integer, B.
        inputs: Integer, n.
        units: Integer, m.
    """

    rows: int
    inputs: int
    units: int

    @property
    def product(self) -> int:
        """Operations of a forward pass, or of either half of a backward one."""
        return 2 * self.rows * self.inputs * self.units


class Layers(NamedTuple):
    """A model that is made of dense layers.

    Args:
        encoder: List of `Dense`.
        heads: List of `Dense`, one for each task.
    """

    encoder: list[Dense]
    heads: list[Dense]


def least_ratio(model, weighter, inputs) -> float | None:
    """Returns the operations of a weighter's step, divided by the uniform's.

    Args:
        model: Built `MultiTaskModel`.
        weighter: `Weighter`.
        inputs: Inputs of a batch.

    Returns:
        Float, or `None` if the model has layers that are not counted here.
    """
    layers = dense_layers(model, inputs)
    if layers is None:
        return None
    more = additional_operations(layers, declaration(weighter))
    return 1.0 + more / uniform_operations(layers)


def dense_layers(model, inputs) -> Layers | None:
    """Returns the layers of a model, or `None` if they are not all dense."""
    if model.is_separate(inputs) or len(keras.tree.flatten(inputs)) > 1:
        return None
    config = model.encoder.get_config()
    # A layer's nodes are its uses.
    nodes = [
        layer.get("inbound_nodes", ()) for layer in config.get("layers", ())
    ]
    if any(len(uses) > 1 for uses in nodes):
        return None
    chain = [
        layer
        for layer in getattr(model.encoder, "layers", [model.encoder])
        if not isinstance(layer, keras.layers.InputLayer)
    ]
    heads = list(model.arrangement.head_layers.values())
    if any(type(layer) is not keras.layers.Dense for layer in (*chain, *heads)):
        return None
    rows = len(keras.tree.flatten(inputs)[0])
    encoder, outputs = (
        [Dense(rows, *layer.kernel.shape) for layer in layers]
        for layers in (chain, heads)
    )
    return Layers(encoder, outputs)


def uniform_operations(layers: Layers) -> int:
    """Returns the operations of a step with uniform weights."""
    first, *others = [*layers.encoder, *layers.heads]
    return 2 * first.product + 3 * sum(layer.product for layer in others)


def operations_by_passes(layers: Layers, declared: Declaration) -> int:
    """Returns those of a step that takes a backward pass for each task.

    So do several replicas where a weighter reads Gramian or norms of variables:
    each pass goes through its head down to the scope. What of the update's
    gradient is then at hand is added up, and the rest takes one more pass.

    Args:
        layers: `Layers`.
        declared: `Declaration` of signals that are read of variables.
    """
    num_tasks = len(layers.heads)
    forward = sum(layer.product for layer in (*layers.encoder, *layers.heads))
    heads = sum(head.product for head in layers.heads)
    encoder = _backward(layers.encoder)
    last = layers.encoder[-1]
    if declared.scope == "last_shared_layer":
        read = [last]
        total = num_tasks * last.product + 3 * heads + encoder - last.product
    else:
        read = layers.encoder
        total = num_tasks * encoder + 2 * heads
    size = sum(layer.inputs * layer.units for layer in read)
    pairs = any(len(SIGNALS[name].axes) > 1 for name in declared.gradients)
    squares = num_tasks ** (2 if pairs else 1)
    return forward + total + 2 * size * (num_tasks + squares)


def additional_operations(layers: Layers, declared: Declaration) -> float:
    """Returns the operations that a weighter's signals take beyond."""
    forward = sum(layer.product for layer in (*layers.encoder, *layers.heads))
    total = (declared.forward_passes - 1) * forward
    for signal in declared.gradients:
        if declared.scope == "representation":
            total += _of_representation(layers.heads, signal)
        else:
            total += _of_variables(layers, signal, declared.scope)
    return total


def _of_representation(heads, signal):
    rows, inputs, _ = heads[0]
    if len(SIGNALS[signal].axes) == 1:
        pairs = sum(_symmetric(head.units) for head in heads)
    else:
        units = sum(head.units for head in heads)
        crossed = "query" in SIGNALS[signal].batches
        pairs = 2 * units**2 if crossed else _symmetric(units)
    return pairs * (rows + inputs)


def _of_variables(layers, signal, scope):
    num_tasks = len(layers.heads)
    rows, inputs, _ = layers.heads[0]
    heads = sum(head.product for head in layers.heads)
    query = "query" in SIGNALS[signal].batches
    total = min(heads, 2 * num_tasks * rows * inputs) + query * heads
    if scope == "last_shared_layer":
        return total + _pairs(layers.encoder[-1], num_tasks, signal)
    for layer in layers.encoder[1:]:
        total += _apart(layer, num_tasks, rows * layer.inputs)
        total += query * num_tasks * layer.product
    for layer in layers.encoder:
        total += _pairs(layer, num_tasks, signal)
    if scope == "all":
        # A head's gradient meets its own task's only.
        total += query * heads + 2 * inputs * sum(h.units for h in layers.heads)
    return total


def _pairs(layer, num_tasks, signal):
    """Returns the operations of norms or inner products of a kernel's."""
    rows, inputs, units = layer
    size = inputs * units
    apart = _apart(layer, num_tasks, size)
    if len(SIGNALS[signal].axes) == 1:
        square = _symmetric(rows) * inputs
        each = _symmetric(rows) * (units + 1)
        return min(apart + 2 * num_tasks * size, square + num_tasks * each)
    if "query" in SIGNALS[signal].batches:
        products = 2 * num_tasks**2
        apart += num_tasks * layer.product + products * size
        crossed = 2 * rows**2 * (inputs + num_tasks * units)
        return min(apart, crossed + products * rows * units)
    if SIGNALS[signal].of_halves:
        apart = num_tasks * layer.product + 2 * num_tasks**2 * size
        half = rows // 2
        crossed = 2 * half**2 * (inputs + num_tasks * units)
        return min(apart, crossed + 2 * num_tasks**2 * half * units)
    products = _symmetric(num_tasks)
    crossed = min(
        2 * rows**2 * num_tasks * units,
        rows**3 / 3 + _symmetric(rows) * num_tasks * units,
    )
    crossed += _symmetric(rows) * inputs + products * rows * units
    return min(apart + products * size, crossed)


def _apart(layer, num_tasks, size):
    """Returns the operations of K products and their sum instead of one."""
    together = min(layer.product, 2 * num_tasks * size)
    return (num_tasks - 1) * layer.product + together


def _backward(encoder):
    """Returns the operations of a backward pass; inputs need no gradient."""
    return 2 * sum(layer.product for layer in encoder) - encoder[0].product


def _symmetric(size):
    """Returns the operations, by length, of a square product's lower half."""
    return size * (size + 1)
