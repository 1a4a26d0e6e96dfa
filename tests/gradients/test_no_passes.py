"""Where a pass for each task was needed, and a cheap form has come."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.gradients import TaskGradients
from keras_mtl.gradients.task_by_task import TaskByTask
from tests.graph_twin import Twin
from tests.graphs import GRAPHS, data

SCOPES = ("shared", "all", "last_shared_layer")


def test_a_table_that_is_looked_up_and_multiplied():
    """Against float64, also between two batches."""
    graph = GRAPHS["tied"]
    source = graph.model()
    model = MultiTaskModel.from_functional(source)
    model.compile("sgd", "mse", jit_compile=False)
    batches = [data(graph, 5, 0), data(graph, 4, 1)]

    @tf.function(autograph=False)
    def measured():
        support, query = (
            TaskGradients(model, (*batch, None), False, scope="shared")
            for batch in batches
        )
        support.keep("shared")
        found = query.gramian("shared", support), query.gramian("all")
        for batch, scope in ((support, "shared"), (query, "all")):
            assert not batch.over(scope).rest.variables
        return found

    twin, variables = Twin(graph, source), model.trainable_variables
    rows = [twin.gradients(*batch)[1] for batch in batches]
    shared = [v for v in variables if "table" in v.path or "trunk" in v.path]
    across, every = measured()
    left, right = (twin.matrix(part, "shared", shared) for part in rows)
    np.testing.assert_allclose(across, right @ left.T, rtol=1e-4, atol=1e-6)
    whole = twin.matrix(rows[1], "all", variables)
    np.testing.assert_allclose(every, whole @ whole.T, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("missing", [[], ["b"]])
def test_rows_that_batch_norm_joins(missing):
    """As by a pass for each task, which eager steps take."""
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(5, "tanh"),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(3, "tanh"),
        ]
    )
    model = MultiTaskModel(encoder, {t: keras.layers.Dense(1) for t in "abc"})
    model.compile("sgd", "mse", jit_compile=False, weighter="pcgrad")
    rng = np.random.default_rng(0)
    sizes = {t: 3 + n for n, t in enumerate("abc") if t not in missing}
    x = {t: rng.normal(size=(n, 6)).astype("float32") for t, n in sizes.items()}
    y = {t: rng.normal(size=(n, 1)).astype("float32") for t, n in sizes.items()}
    weights = np.array([1.0, 0.5, 2.0], "float32")
    variables = encoder.trainable_variables

    def measured():
        batch = TaskGradients(model, (x, y, None), True, scope="shared")
        found = [(batch.gramian(s), batch.norms(s)) for s in SCOPES]
        plain = [isinstance(batch.over(s), TaskByTask) for s in SCOPES]
        assert plain == [tf.executing_eagerly()] * len(SCOPES)
        return found, batch.combined(weights, variables, tf.ones(3))

    model({t: part[:1] for t, part in x.items()})
    received = keras.tree.flatten(tf.function(measured, autograph=False)())
    for value, expected in zip(
        received, keras.tree.flatten(measured()), strict=True
    ):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)
