"""Gramians and combined gradients of each layer, and what is right."""

import numpy as np
import tensorflow as tf

from keras_mtl.combination import Combination
from keras_mtl.gradients import roles
from keras_mtl.gradients.sizes import scope_layers
from tests.gradients.models import TASKS


def layer_weights(model):
    """Returns weights `(layers, K)` of both signs for the shared layers."""
    num_layers = len(scope_layers(model, "shared"))
    grid = np.arange(num_layers * len(TASKS), dtype="float32")
    return np.cos(grid).reshape(num_layers, len(TASKS))


def by_layer(model, batch):
    """Returns Gramians of the shared layers, and `{path: gradient}`.

    The gradients are sums with `layer_weights`.
    """
    weights = Combination(None, layers=tf.constant(layer_weights(model)))
    combined = batch.finely_combined(weights, "shared")
    layers = scope_layers(model, "shared")
    return batch.gramian_by_layer("shared"), {
        v.path: combined[id(v)] for layer in layers for v in layer
    }


def assert_layers(model, exact, found, rows):
    """Compares what `by_layer` returns with the exact `(K, P)` gradients."""
    shares, combined = found
    gramian = sum(np.float64(share) for share in shares)
    trace = np.trace(gramian)
    np.testing.assert_allclose(gramian, rows @ rows.T, atol=1e-4 * trace)
    variables = roles.scope_variables(exact, "shared")
    ends = np.cumsum([np.prod(v.shape, dtype=int) for v in variables])
    pieces = dict(
        zip(map(id, variables), np.split(rows, ends[:-1], axis=1), strict=True)
    )
    names = iter(combined.items())
    for share, weights, layer in zip(
        shares,
        layer_weights(model),
        scope_layers(exact, "shared"),
        strict=True,
    ):
        mine = np.concatenate([pieces[id(v)] for v in layer], axis=1)
        np.testing.assert_allclose(share, mine @ mine.T, atol=1e-4 * trace)
        for variable in layer:
            path, received = next(names)
            expected = weights @ pieces[id(variable)]
            received = np.ravel(tf.convert_to_tensor(received))
            size = np.linalg.norm(pieces[id(variable)]) + 1e-6 * trace**0.5
            gap = np.linalg.norm(received - expected)
            assert gap <= 1e-4 * size, (path, gap, size)
