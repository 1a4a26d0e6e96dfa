"""Every functional graph of `tests.graphs`, saved, cloned, served, on replicas.

Steps are eager where they are no subject, and one graph has one weighter.
"""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel
from tests.graphs import GRAPHS, data
from tests.training import seeded

pytestmark = pytest.mark.filterwarnings(
    # Keras hands its variables to NumPy in a way that NumPy 2 deprecates.
    "ignore:__array__ implementation:DeprecationWarning",
    # Containers of layers that it has loaded by another path.
    "ignore:Skipping nested container:UserWarning",
)
WEIGHTERS = ("pcgrad", "mgda", "gradnorm", "slaw")
EACH = [(g, WEIGHTERS[n % len(WEIGHTERS)]) for n, g in enumerate(GRAPHS)]


def compiled(graph, weighter, seed, eager):
    keras.utils.set_random_seed(seed)
    model = MultiTaskModel.from_functional(graph.model())
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        "mse",
        weighter=seeded(weighter),
        jit_compile=False,
        run_eagerly=eager,
    )
    return model


def predictions(model, x):
    return {t: np.array(p) for t, p in model(x, training=False).items()}


def by_path(receiver, model):
    """Hands on the values of all parameters, which are as many."""
    values = {v.path: np.array(v) for v in model.trainable_variables}
    assert len(receiver.trainable_variables) == len(values)
    for variable in receiver.trainable_variables:
        variable.assign(values[variable.path])


@pytest.mark.parametrize(("name", "weighter"), EACH)
def test_a_graph_is_saved_cloned_and_served(name, weighter, tmp_path):
    """As plain Keras predicts; what was loaded trains on bit for bit."""
    graph = GRAPHS[name]
    x, y = data(graph)
    model = compiled(graph, weighter, 3, True)
    model.train_on_batch(x, y)
    expected = predictions(model, x)
    source = graph.model()
    by_path(source, model)
    for task, output in source(x).items():
        np.testing.assert_allclose(expected[task], output, rtol=1e-5, atol=1e-6)

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    loaded.run_eagerly = True
    others = [compiled(graph, weighter, 4, True) for _ in range(2)]
    for other in others:
        other.train_on_batch(x, y)
    model.save_weights(tmp_path / "run.weights.h5")
    others[0].load_weights(tmp_path / "run.weights.h5")
    checkpoint = tf.train.Checkpoint(model).save(str(tmp_path / "run"))
    tf.train.Checkpoint(others[1]).restore(checkpoint).assert_consumed()
    for other in (loaded, *others):
        np.testing.assert_equal(predictions(other, x), expected)
    clone = keras.models.clone_model(model)
    clone(x)
    by_path(clone, model)
    np.testing.assert_equal(predictions(clone, x), expected)

    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(str(tmp_path / "served"))
    received = served.serve(keras.tree.map_structure(tf.constant, x))
    assert received.keys() == expected.keys()
    for task, output in expected.items():
        np.testing.assert_allclose(received[task], output, rtol=1e-5, atol=1e-6)

    for trained in (model, loaded, *others):
        trained.train_on_batch(x, y)
    expected = predictions(model, x)
    for other in (loaded, *others):
        np.testing.assert_equal(predictions(other, x), expected)

    # Compiled, it takes the step that it takes eagerly.
    other = others[0]
    other.run_eagerly, other.jit_compile = False, name in BY_XLA
    other.train_function = None
    for trained in (model, other):
        trained.train_on_batch(x, y)
    expected = predictions(model, x)
    for task, output in predictions(other, x).items():
        np.testing.assert_allclose(expected[task], output, rtol=1e-4, atol=1e-5)


# Of each path one: nested leaves, and a table that is looked up and multiplied.
BY_XLA = ("chain", "tied")
# Words and masks, several inputs, a cut of two depths; eagerly, all take the
# same path.
COMPILED = ("tokens", "two_inputs", "nested")


@pytest.mark.parametrize(("name", "weighter"), EACH)
def test_two_replicas_train_like_one_device(strategy, name, weighter):
    """Batches of 3 rows and 1: no half is whole, and one is empty."""
    graph = GRAPHS[name]
    x, y = data(graph, 4)
    results = []
    for where in (strategy, None):
        with where.scope() if where else contextlib.nullcontext():
            eager = where is None or name not in COMPILED
            model = compiled(graph, weighter, 3, eager)
        fit = {"batch_size": 3, "shuffle": False, "verbose": 0}
        history = model.fit(x, y, **fit).history
        results.append((predictions(model, x), history))
    (received, history), (expected, other) = results
    for task, output in expected.items():
        np.testing.assert_allclose(
            received[task], output, rtol=1e-4, atol=1e-5, err_msg=task
        )
    assert history.keys() == other.keys()
    for key, values in other.items():
        np.testing.assert_allclose(
            history[key], values, rtol=1e-4, atol=1e-5, err_msg=key
        )
