"""Functional models: the cut is found, gradients are exact, files load."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.gradients import TaskGradients, roles
from keras_mtl.weighters import PCGrad
from tests.graphs import GRAPHS, chain, data


def _layers(variables):
    return {variable.path.split("/")[0] for variable in variables}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_trains_and_is_saved_as_plain_keras_has_it(name, tmp_path):
    make, shared, last = GRAPHS[name]
    source = make()
    x, y = data(source)
    model = MultiTaskModel.from_functional(source)
    for task, output in source(x).items():
        np.testing.assert_array_equal(model(x)[task], output)
    model.compile("adam", loss="mse", weighter="mgda", jit_compile=False)
    assert _layers(roles.shared_variables(model)) == shared
    measured = roles.task_scopes(model, "last_shared_layer")
    for mine, layer in zip(measured, last, strict=True):
        found = [v for v in roles.task_variables(model) if id(v) in mine]
        assert _layers(found) == {layer}

    batch = TaskGradients(model, (x, y, None), False, scope="shared")
    variables = roles.shared_variables(model)
    rows = []
    for task in model.task_names:  # A plain tape over the source.
        with tf.GradientTape() as tape:
            errors = tf.reduce_mean((source(x)[task] - y[task]) ** 2, axis=-1)
            # A loss for each token is a mean over those that are not masked.
            kept = np.float32(x != 0) if task == "token" else np.ones(5, "f")
            loss = tf.reduce_sum(errors * kept) / np.sum(kept)
        pulled = tape.gradient(loss, [v.value for v in variables])
        flat = [
            np.zeros(v.shape) if g is None else tf.convert_to_tensor(g).numpy()
            for v, g in zip(variables, pulled, strict=True)
        ]
        rows.append(np.concatenate(list(map(np.ravel, flat))))
    expected = np.stack(rows) @ np.stack(rows).T
    np.testing.assert_allclose(
        batch.gramian("shared"), expected, rtol=1e-4, atol=1e-6
    )

    model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    model.train_on_batch(x, y)
    loaded.train_on_batch(x, y)
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    received = served.serve(tf.constant(x))
    for task, output in model.predict(x, verbose=0).items():
        again = loaded.predict(x, verbose=0)[task]
        np.testing.assert_allclose(again, output, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(received[task], output, rtol=1e-5, atol=1e-6)


def test_the_last_layer_is_the_one_that_is_used_last():
    """Not the one that was made last."""
    inputs = keras.Input((4,))
    last = keras.layers.Dense(3, name="used_last")
    first = keras.layers.Dense(5, name="made_last")
    encoder = keras.Model(inputs, last(first(inputs)))
    heads = {task: keras.layers.Dense(1) for task in "ab"}
    model = MultiTaskModel(encoder, heads)
    found = roles.scope_variables(model, "last_shared_layer")
    assert _layers(found) == {"used_last"}


def test_a_list_of_outputs_is_named_by_their_layers():
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(3)(inputs)
    outputs = [
        keras.layers.Dense(k + 1, name=t)(hidden) for k, t in enumerate("ba")
    ]
    model = MultiTaskModel.from_functional(keras.Model(inputs, outputs))
    assert model.task_names == ("b", "a")
    x = np.ones((2, 4), "float32")
    predicted = model(x)
    for task, output in zip("ba", model.graph.model(x), strict=True):
        np.testing.assert_array_equal(predicted[task], output)


def test_a_name_that_is_no_layer_and_a_cut_that_separates_nothing():
    with pytest.raises(ValueError, match=r"'h11'\. Did you mean 'h1'\?"):
        MultiTaskModel.from_functional(chain(), "h11")
    with pytest.raises(ValueError, match="'x' separates nothing"):
        MultiTaskModel.from_functional(chain(), "x")
    with pytest.raises(ValueError, match="'a' does not follow from layer 'h2'"):
        MultiTaskModel.from_functional(chain(), "h2")


@pytest.mark.parametrize("scope", ["h2", ["h1", "h2"]])
def test_a_scope_of_layers_is_measured_and_saved(scope):
    model = MultiTaskModel.from_functional(chain())
    x, y = data(chain())
    weighter = PCGrad(scope=scope, seed=0)
    assert weighter.get_config()["scope"] == scope
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(weighter)
    )
    assert again.get_config() == weighter.get_config()
    model.compile("sgd", "mse", weighter=again, jit_compile=False)
    model.fit(x, y, verbose=0)
    names = {scope} if isinstance(scope, str) else set(scope)
    found = roles.scope_variables(model, again.scope)
    assert _layers(found) == names


def test_a_scope_that_is_no_layer_ends_before_training():
    model = MultiTaskModel.from_functional(chain())
    x, y = data(chain())
    model.compile("sgd", "mse", weighter=PCGrad(scope="h22"), jit_compile=False)
    before = [np.array(v) for v in model.trainable_variables]
    with pytest.raises(ValueError, match="nor the name of a layer"):
        model.fit(x, y, verbose=0)
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
