"""Outputs without a loss, and losses that reach little or nothing.

What is measured and trained must be that of a model without these outputs.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.gradients import TaskGradients, roles
from tests.graphs import GRAPHS, chain, data, layer_of

CHAIN = GRAPHS["chain"]
SCOPES = ("representation", "last_shared_layer", "shared", "all")


def model_of(tasks, losses=None, weighter="mgda", more=lambda x, outputs: {}):
    """Returns a model of some outputs of the chain and of `more`, compiled."""
    keras.utils.set_random_seed(3)
    x, outputs, _ = chain()
    outputs |= more(x, outputs)
    source = keras.Model(x, {task: outputs[task] for task in tasks})
    model = MultiTaskModel.from_functional(source)
    compile_for(model, losses or tasks, weighter)
    return model, source


def compile_for(model, tasks, weighter="mgda"):
    metrics = {task: ["mae"] for task in model.output_names}
    sgd = keras.optimizers.SGD(0.1)
    losses = dict.fromkeys(tasks, "mse")
    model.compile(
        sgd, losses, metrics=metrics, weighter=weighter, run_eagerly=True
    )


def take(model, source):
    """Gives a model the values of another, by path."""
    values = {v.path: np.array(v) for v in source.variables}
    for variable in model.trainable_variables:
        variable.assign(values[variable.path])


def gramians(model, x, y):
    labels = {task: y[task] for task in model.task_names}
    batch = TaskGradients(model, (x, labels, None), False, scope="shared")
    return {scope: batch.gramian(scope).numpy() for scope in SCOPES}


def assert_alike(model, other, x, y):
    """Asserts Gramians, and one update, of the same tasks."""
    take(other, model)
    assert model.task_names == other.task_names
    expected, received = gramians(other, x, y), gramians(model, x, y)
    for scope in SCOPES:
        np.testing.assert_allclose(received[scope], expected[scope], rtol=1e-4)
    for one in (model, other):
        one.train_on_batch(x, {task: y[task] for task in one.task_names})
    values = {v.path: np.array(v) for v in model.trainable_variables}
    for variable in other.trainable_variables:
        np.testing.assert_allclose(
            variable, values[variable.path], rtol=1e-5, atol=1e-7
        )


@pytest.mark.parametrize("tasks", ["bc", "cd", "d"])
def test_they_leave_the_cut_alone(tasks):
    x, y = data(CHAIN)
    model, source = model_of("abcd", tasks)
    assert_alike(model, model_of(tasks)[0], x, y)
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    predicted = model(x)
    for task, output in source(x).items():
        np.testing.assert_allclose(predicted[task], output, rtol=1e-5)
        error = np.mean(np.abs(output - y[task]))
        np.testing.assert_allclose(logs[f"{task}_mae"], error, rtol=1e-5)
        assert (f"{task}_loss" in logs) == (task in tasks)


def test_they_are_saved_served_and_trained_again(tmp_path):
    x, y = data(CHAIN)
    model, _ = model_of("abcd", "ab")
    model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.task_names == ("a", "b")
    loaded.run_eagerly = True
    assert_alike(loaded, model_of("ab")[0], x, y)
    loaded.export(tmp_path / "served", verbose=False)
    archive = tf.saved_model.load(str(tmp_path / "served"))
    served, expected = archive.serve(x), loaded(x)
    for task in "abcd":
        np.testing.assert_allclose(served[task], expected[task], rtol=1e-5)
    compile_for(loaded, "abcd")
    assert_alike(loaded, model_of("abcd")[0], x, y)
    loaded.save_weights(tmp_path / "all.weights.h5")
    with pytest.warns(UserWarning, match="for tasks without a loss here"):
        model.load_weights(tmp_path / "all.weights.h5")
    for task, output in loaded(x).items():
        np.testing.assert_array_equal(model(x)[task], output)


def _towers(x, outputs):
    own = keras.layers.Dense(2, name="own")(x)
    stopped = keras.ops.stop_gradient(outputs["a"])
    rounded = keras.ops.round(outputs["b"])
    return {"own": own, "stopped": stopped, "rounded": rounded}


@pytest.mark.parametrize("weighter", ["mgda", "gradnorm", "pcgrad"])
def test_a_task_that_shares_nothing_takes_no_part(weighter):
    """The rest weigh each other as without it; it trains by its own loss."""
    x, y = data(CHAIN)
    y["own"] = np.ones((5, 2), "float32")
    model, source = model_of(["a", "own", "c"], weighter=weighter, more=_towers)
    other, _ = model_of("ac", weighter=weighter)
    take(other, model)
    kernel = np.array(source.get_layer("own").kernel)
    bias = np.array(source.get_layer("own").bias)
    logs = model.train_on_batch(
        x, {task: y[task] for task in model.task_names}, return_dict=True
    )
    assert logs["own_weight"] == 1.0
    other.train_on_batch(x, {task: y[task] for task in "ac"})
    values = {v.path: np.array(v) for v in model.trainable_variables}
    for variable in other.trainable_variables:
        np.testing.assert_allclose(
            variable, values[variable.path], rtol=1e-4, atol=1e-6
        )
    error = x @ kernel + bias - 1.0  # A mean over 5 rows of 2.
    np.testing.assert_allclose(
        values["own/kernel"], kernel - 0.1 * x.T @ error / 5, atol=1e-6
    )


@pytest.mark.parametrize("task", ["stopped", "rounded"])
def test_a_loss_that_can_train_nothing_ends_before_training(task):
    x, y = data(CHAIN)
    y[task] = np.ones((5, 1), "float32")
    model, _ = model_of(["a", "b", task], "ab", more=_towers)
    mine = {name: y[name] for name in model.output_names}
    model.train_on_batch(x, mine)  # Served only: no fault.
    before = [np.array(v) for v in model.trainable_variables]
    compile_for(model, model.output_names, "slaw")
    with pytest.raises(ValueError, match=f"{task}' can train nothing"):
        model.fit(x, mine, verbose=0)
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_a_frozen_head_on_a_frozen_layer_is_no_fault():
    x, y = data(CHAIN)
    model, source = model_of("acd", weighter="pcgrad")
    for name in ("h1", "a"):
        source.get_layer(name).trainable = False
    before = {v.path: np.array(v) for v in source.variables}
    model.train_on_batch(x, {task: y[task] for task in "acd"})
    moved = {
        layer_of(v)
        for v in source.variables
        if np.any(np.array(v) != before[v.path])
    }
    assert moved == {"h2", "h3", "c", "d"}
    assert {layer_of(v) for v in roles.shared_variables(model)} == {"h2", "h3"}
