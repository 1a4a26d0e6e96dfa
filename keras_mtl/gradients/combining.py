"""Updates that are no sum of the tasks' gradients by one weight each."""

import math

import tensorflow as tf

from keras_mtl import distribution
from keras_mtl.gradients import roles
from keras_mtl.gradients.sizes import scope_layers
from keras_mtl.gradients.sums import weighted_sum


def by_coordinate(backward, fixed, coordinates):
    """Returns gradients as of a layer at the cut that weighs them there.

    What variables do above it has the plain gradients of the tasks.

    Args:
        backward: `BackwardPasses`.
        fixed: `(K,)` float32, the loss weights of `compile`.
        coordinates: `(K, D)` float32.

    Returns:
        Dict from `id(variable)` to this replica's share of its gradient.
    """
    losses, leaves = backward.losses, backward.leaves
    trunk = roles.of(backward.model).trunk
    coefficients = fixed[:, None] * coordinates
    cotangents = _weighted_at_cut(backward, coefficients)
    pulled = losses.through(leaves, cotangents, trunk)
    found = dict(zip(map(id, trunk), pulled, strict=True))
    shared = roles.shared_variables(backward.model)
    others = [v for v in shared if id(v) not in found]
    if others:
        plain = losses.of_objective(fixed, others)
        changed = _weighted_at_cut(backward, coefficients - fixed[:, None])
        changes = losses.tape.gradient(leaves, others, output_gradients=changed)
        for v, *both in zip(others, plain, changes, strict=True):
            found[id(v)] = weighted_sum(both)
    return found


def _weighted_at_cut(backward, coefficients):
    """Returns the cotangents of the leaves, weighed by coordinate.

    Args:
        backward: `BackwardPasses`.
        coefficients: `(K, D)` float32.
    """
    number = len(roles.of(backward.model).reach.below)
    shapes = [leaf.shape[1:] for leaf in backward.leaves[:number]]
    sizes = [shape.num_elements() for shape in shapes]
    parts = tf.split(coefficients, sizes, axis=1)
    cotangents = []
    for place, stacked in enumerate(backward.at_cut.stacked):
        # Where tasks passed the encoder one by one, each has all leaves.
        part, shape = parts[place % number], shapes[place % number]
        factors = tf.reshape(part, [part.shape[0], 1, *shape])
        total = tf.reduce_sum(factors * tf.cast(stacked, tf.float32), 0)
        cotangents.append(tf.cast(total, stacked.dtype))
    return cotangents


def by_rows(backward, fixed, rows, scope):
    """Returns gradients whose shared part was already combined by task.

    Args:
        backward: `BackwardPasses`.
        fixed: `(K,)` float32, the loss weights of `compile`.
        rows: `(K, P)` float32, global, what stands for each task's gradient.
        scope: String, of whose variables.

    Returns:
        Dict from `id(variable)` to this replica's share of its gradient.
    """
    variables = roles.scope_variables(backward.model, scope)
    share = backward.scale / distribution.num_replicas()
    total = tf.linalg.matvec(rows, fixed, transpose_a=True)
    sizes = [math.prod(variable.shape) for variable in variables]
    own = backward.losses.of_own(variables)
    found = {}
    for variable, part, extra in zip(
        variables, tf.split(share * total, sizes), own, strict=True
    ):
        part = tf.cast(tf.reshape(part, variable.shape), variable.dtype)
        found[id(variable)] = weighted_sum([part, extra])
    return found


def by_layer(backward, fixed, weights, scope, over):
    """Returns gradients that were combined layer by layer.

    Of the variables that tasks share: each head has its task's gradient.

    Args:
        backward: `BackwardPasses`.
        fixed: `(K,)` float32, the loss weights of `compile`.
        weights: `(layers, K)` float32.
        scope: String, whose gradients were measured by layer.
        over: `LayerByLayer` or `TaskByTask` of the scope.

    Returns:
        Dict from `id(variable)` to this replica's share of its gradient.
    """
    layers = scope_layers(backward.model, scope)
    factors = {
        id(v): row
        for row, layer in zip(tf.unstack(fixed * weights), layers, strict=True)
        for v in layer
    }
    heads = {id(v) for v in roles.head_variables(backward.model)}
    variables = [v for layer in layers for v in layer if id(v) not in heads]
    found = over.combined(factors, variables)
    own = backward.losses.of_own(variables)
    return {
        id(v): weighted_sum([found[id(v)], extra])
        for v, extra in zip(variables, own, strict=True)
    }
