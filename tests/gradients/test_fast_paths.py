"""Gramians and norms, layer by layer, against K backward passes in float64."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_mtl.gradients import TaskGradients, layerwise, roles
from keras_mtl.gradients.triangle import Triangle
from keras_mtl.weighters import MGDA, GradNorm, MetaWeighting, PCGrad
from tests.gradients.by_layer import assert_layers, by_layer
from tests.gradients.encoders import ENCODERS
from tests.gradients.models import batch, build, jacobian

SCOPES = ["representation", "last_shared_layer", "shared", "all"]
ACROSS = SCOPES[1:]
# Rows that cross, kernels of three axes, tables.
QUICK = ("wide", "attention", "text")


def measuring(model, data, query=None, scopes=SCOPES, layers=False, **kwargs):
    """Returns a compiled function that measures everything at once.

    It returns Gramian and norms of each scope and, with a query batch, the
    inner products of its tasks' gradients and those of the first batch. With
    `layers`, among the first what `by_layer` returns.
    """

    @tf.function(autograph=False, **kwargs)
    def measure(data, query):
        support = TaskGradients(model, data, training=True, scope="all")
        found = {s: (support.gramian(s), support.norms(s)) for s in scopes}
        if layers:
            found["layers"] = by_layer(model, support)
        if query is None:
            return found, {}
        # Its own: what is kept has other forms than a Gramian.
        support = TaskGradients(model, data, training=True, scope="all")
        across = [scope for scope in scopes if scope in ACROSS]
        for scope in across:
            support.keep(scope)
        second = TaskGradients(model, query, training=False, scope="all")
        return found, {s: second.gramian(s, support) for s in across}

    return measure


def measured(model, data, scope, **kwargs):
    found, _ = measuring(model, data, scopes=[scope], **kwargs)(data, None)
    return [value.numpy() for value in found[scope]]


def in_float64(name, model, **kwargs):
    """Returns the same model in float64."""
    exact = build(name, "float64", **kwargs)
    exact.set_weights([w.astype("float64") for w in model.get_weights()])
    return exact


def exact_gradients(model, data, training=True):
    """Returns a function from a scope to the `(K, P)` exact gradients."""
    data = keras.tree.map_structure(
        lambda a: a.astype("float64") if a.dtype == "float32" else a, data
    )
    found = jacobian(model, data, training)

    def of_scope(scope):
        if scope == "representation":
            return found["leaves"]
        variables = roles.scope_variables(model, scope)
        return np.concatenate([found[id(v)] for v in variables], axis=1)

    return of_scope


def assert_same(actual, expected, tolerance=1e-4):
    gramian, norms = (np.asarray(value) for value in actual)
    scale = np.trace(expected) / len(expected)
    np.testing.assert_allclose(
        gramian, expected, rtol=tolerance, atol=0.1 * tolerance * scale
    )
    np.testing.assert_allclose(norms**2, np.diag(expected), rtol=tolerance)


def assert_exact(name, model, data, query, *results):
    """Compares what `measuring` returns with float64 backward passes."""
    exact = in_float64(name, model)
    rows = exact_gradients(exact, data)
    # A training pass moves the averages of batch-norm.
    exact.set_weights([w.astype("float64") for w in model.get_weights()])
    of_query = exact_gradients(exact, query, training=False)
    for found in results:
        assert_found(model, exact, found, rows, of_query)


def assert_found(model, exact, found, rows, of_query):
    gramians, products = found
    assert_layers(model, exact, gramians.pop("layers"), rows("shared"))
    for scope, values in gramians.items():
        assert_same(values, rows(scope) @ rows(scope).T)
    for scope, values in products.items():
        mine, theirs = of_query(scope), rows(scope)
        sizes = [np.linalg.norm(g, axis=1) for g in (mine, theirs)]
        error = np.abs(np.asarray(values) - mine @ theirs.T)
        assert np.max(error / (np.outer(*sizes) + 1e-12)) < 1e-4, scope


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in ENCODERS
    ],
)
def test_all_agree_with_separate_backward_passes(name):
    """In every scope, and between two batches that differ in size."""
    model, data, query = build(name), batch(name), batch(name, 5, seed=2)
    across = measuring(model, data, query, layers=True)(data, query)
    assert_exact(name, model, data, query, across)


@pytest.mark.parametrize("name", ["wide", "map"])
def test_heads_that_start_with_no_product(name):
    model, data = build(name, linear_heads=False), batch(name)
    scopes = ["representation", "shared"]
    found, _ = measuring(model, data, scopes=scopes)(data, None)
    exact = in_float64(name, model, linear_heads=False)
    for scope in scopes:
        rows = exact_gradients(exact, data)(scope)
        assert_same(found[scope], rows @ rows.T)


@pytest.mark.parametrize("name", ["wide", "deep_conv", "text", "experts"])
def test_xla_agrees_and_batches_of_unknown_size(name):
    model, data, query = build(name), batch(name), batch(name, 5, seed=2)
    scopes = ["shared"]
    compiled = measuring(model, data, query, scopes, True, jit_compile=True)
    spec = keras.tree.map_structure(
        lambda a: tf.TensorSpec((None, *a.shape[1:]), a.dtype), data
    )
    signature = {"input_signature": [spec, spec]}
    unknown = measuring(model, data, query, scopes, True, **signature)
    found = compiled(data, query), unknown(data, query)
    assert_exact(name, model, data, query, *found)


@pytest.mark.parametrize("name", ["wide", "text", "experts"])
@pytest.mark.parametrize("chunk_bytes", [1, 30_000])
def test_chunks_of_tasks_and_slices_of_features(name, chunk_bytes, monkeypatch):
    monkeypatch.setattr(layerwise, "CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(layerwise, "SLICE_BYTES", 2_000)
    model, data = build(name), batch(name, num_rows=40)
    query = batch(name, 33, seed=2)
    across = measuring(model, data, query, ["shared"], True)(data, query)
    assert_exact(name, model, data, query, across)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", ["wide", "deep_conv", "attention"])
def test_mixed_precision_agrees_with_the_plain_path(name, dtype):
    model, data = build(name, dtype), batch(name)
    plain = TaskGradients(model, data, training=True, scope="shared")
    expected = plain.gramian("shared").numpy()
    tolerance = 0.01 if dtype == "mixed_float16" else 0.08
    assert_same(measured(model, data, "shared"), expected, tolerance)


@pytest.mark.parametrize("scope", ["representation", "shared"])
def test_heads_of_another_precision_than_the_encoder(scope):
    data = batch("dense")
    model = build("dense", "mixed_float16", head_dtype="float32")
    plain = TaskGradients(model, data, training=True, scope=scope)
    expected = plain.gramian(scope).numpy()
    assert_same(measured(model, data, scope), expected, 0.01)
    history = model.fit(*data[:2], weighter="mgda", verbose=0).history
    assert history["skipped_steps"] == [0]


@pytest.mark.parametrize(
    "name", ["wide", "deep_conv", "experts", "stitched", "necks"]
)
def test_no_gradient_of_a_cheap_layer_is_made(name):
    model, data = build(name), batch(name)
    graph = _graph(model, data)
    kernels = {tuple(v.shape) for v in roles.shared_variables(model)}
    kernels = {shape for shape in kernels if np.prod(shape) > 200}
    kinds = ("MatMul", "BatchMatMul", "Einsum", "Conv2DBackpropFilter")
    made = [op for op in _needed(graph) if op.type.startswith(kinds)]
    assert made
    assert not [op for op in made if tuple(op.outputs[0].shape) in kernels]


def test_no_table_of_an_embedding_is_filled():
    model, data = build("recurrent"), batch("recurrent", num_rows=2)
    graph = _graph(model, data, layers=True)
    table = model.encoder.layers[1].embeddings.shape
    made = {
        op.type
        for op in _needed(graph)
        for output in op.outputs
        if output.shape.rank and tuple(output.shape) == table
    }
    assert made <= {"ReadVariableOp", "Placeholder"}


def _graph(model, data, **kwargs):
    function = measuring(model, data, scopes=["shared"], **kwargs)
    return function.get_concrete_function(data, None).graph


def _needed(graph):
    """Returns the operations that the results of a graph depend on."""
    found, left = {}, [output.op for output in graph.outputs]
    while left:
        op = left.pop()
        if op.name in found:
            continue
        found[op.name] = op
        left += [tensor.op for tensor in op.inputs] + list(op.control_inputs)
    inner = [
        graph._get_function(op.get_attr(name).name).graph
        for op in found.values()
        for name in ("body", "cond")
        if op.type in ("While", "StatelessWhile")
    ]
    return [*found.values(), *(op for g in inner for op in _needed(g))]


def test_a_layer_without_a_cheap_form_is_named_once(caplog):
    model, data = build("recurrent"), batch("recurrent")
    with caplog.at_level(logging.WARNING, "keras_mtl"):
        _graph(model, data)
    named = [record.getMessage() for record in caplog.records]
    assert len(named) == 2
    assert "lstm_cell/kernel: no cheap form" in named[0]
    assert "recurrent_kernel" in named[1]


def test_cheap_layers_are_not_named(caplog):
    model, data = build("wide"), batch("wide")
    with caplog.at_level(logging.WARNING, "keras_mtl"):
        _graph(model, data)
    assert caplog.records == []


@settings(max_examples=30)
@given(
    st.integers(1, 400), st.integers(1, 5), st.integers(1, 4), st.integers(1, 3)
)
def test_triangle_halves_the_product(num_rows, width, units, num_tasks):
    rng = np.random.default_rng(num_rows)
    rows = rng.normal(size=(num_rows, width)).astype("float32")
    features = rng.normal(size=(num_tasks, num_rows, units)).astype("float32")
    triangle = Triangle(tf.constant(rows))
    half = triangle.inner_products(features, features).numpy()
    apart = triangle.inner_products(features, features.copy())
    np.testing.assert_array_equal(half, apart)
    gradients = np.einsum("ni,knu->kiu", rows, features).reshape(num_tasks, -1)
    expected = gradients.astype("float64") @ gradients.T
    np.testing.assert_allclose(
        half + half.T, expected, atol=1e-4 * (1 + np.trace(expected))
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "weighter", [MGDA, GradNorm, lambda: PCGrad(seed=0), MetaWeighting]
)
def test_fifty_steps_end_where_the_plain_path_ends(weighter):
    data = batch("wide", num_rows=24)
    ends = []
    for plain in (True, False):
        model = build("wide")
        model.compile(
            keras.optimizers.SGD(0.002),
            loss="mse",
            weighter=weighter(),
            run_eagerly=plain,
            jit_compile=False,
        )
        x, y, weight = data
        query = (x, y) if model.weighter.observes else None
        for _ in range(50):
            model.train_on_batch(x, y, weight, query_data=query)
        ends.append([v.numpy() for v in model.trainable_variables])
    for fast, slow in zip(*ends, strict=True):
        error = np.abs(fast - slow).max() / np.abs(slow).max()
        assert error < 1e-5
