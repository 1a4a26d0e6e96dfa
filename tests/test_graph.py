"""What the training step traces, and that every way to run it agrees."""

import collections

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training import make_data, new_model, query_for, read

pytestmark = pytest.mark.usefixtures("_as_users_run")

# One of each kind: fixed, losses, trained, norms, Gramian, bilevel.
KINDS = [
    "constant",
    "slaw",
    "uncertainty",
    "gradnorm",
    "mgda",
    "meta_weighting",
]
HEAVY = {"MatMul", "TanhGrad", "BiasAddGrad"}


def traced(name, **kwargs):
    """Returns the concrete function of one training step."""
    model = new_model(name, **kwargs)
    batch = tuple(map(_tensors, make_data()))
    spec = keras.tree.map_structure(
        lambda t: tf.TensorSpec(t.shape, t.dtype), batch
    )
    model._maybe_symbolic_build(data_batch=batch)
    step = tf.function(model.train_step, autograph=False)
    return step.get_concrete_function(spec)


def _tensors(tree):
    return keras.tree.map_structure(tf.convert_to_tensor, tree)


def operations(function):
    """Returns how often each type of operation stands in the graph."""
    graphs, counts = [function.graph], collections.Counter()
    counts.update(op.type for op in function.graph.get_operations())
    for inner in graphs[0].as_graph_def().library.function:
        counts.update(node.op for node in inner.node_def)
    return counts


@pytest.mark.parametrize("name", ["slaw", "dwa", "bandit_mtl"])
def test_loss_weighters_trace_one_backward_pass(name):
    expected, received = (
        operations(traced("constant")),
        operations(traced(name)),
    )
    assert expected["TanhGrad"] == 1
    for kind in HEAVY:
        assert received[kind] == expected[kind], kind


def test_gradient_weighters_trace_more():
    """The count sees a backward pass where there is one."""
    few, many = operations(traced("slaw")), operations(traced("pcgrad"))
    assert many["TanhGrad"] > few["TanhGrad"]
    assert sum(many.values()) > 1.2 * sum(few.values())


@pytest.mark.parametrize("name", ["slaw", "meta_weighting"])
def test_an_epoch_traces_once_and_once_for_the_ragged_batch(name):
    model = new_model(name)
    count, plain = [0], model.train_step

    def counted(data):
        count[0] += 1
        return plain(data)

    model.train_step = counted
    x, y = make_data(28)
    query = query_for(name, rows=8)
    kwargs = {"query_data": query} if query else {}
    model.fit(x, y, batch_size=8, epochs=3, verbose=0, **kwargs)
    # Three full batches and one of 4 rows; Keras' batches have no static size.
    assert 1 <= count[0] <= 2


WAYS = [
    *((name, {"run_eagerly": True}) for name in KINDS[1::2]),
    *((name, {"jit_compile": True}) for name in KINDS[2::2]),
    ("mgda", {"steps_per_execution": 3}),
    ("meta_weighting", {"steps_per_execution": 3, "jit_compile": True}),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "way"), WAYS, ids=[f"{n}-{'-'.join(way)}" for n, way in WAYS]
)
def test_every_way_to_run_gives_the_same_result(name, way, plain):
    expected_values, expected_history = plain(name, {})
    values, history = plain(name, way)
    for mine, other in zip(values, expected_values, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)
    assert history.keys() == expected_history.keys()
    for key, expected in expected_history.items():
        np.testing.assert_allclose(
            history[key], expected, rtol=1e-4, err_msg=key
        )


@pytest.fixture(scope="module")
def plain():
    """Returns a function that trains, and remembers the results."""
    results = {}

    def train(name, way):
        key = (name, *way)
        if key not in results:
            model = new_model(name, **way)
            x, y = make_data(40)
            query = query_for(name, rows=8)
            kwargs = {"query_data": query} if query else {}
            history = model.fit(
                x,
                y,
                batch_size=8,
                epochs=2,
                shuffle=False,
                verbose=0,
                **kwargs,
            ).history
            values = read(
                [*model.trainable_variables, *model.weighter.variables]
            )
            results[key] = values, history
        return results[key]

    return train
