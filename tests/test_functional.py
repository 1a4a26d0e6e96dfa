"""Functional models: the cut is found, gradients are exact, files load."""

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel
from keras_mtl.gradients import roles
from keras_mtl.weighters import PCGrad
from tests.graphs import GRAPHS, data, layer_of

CHAIN = GRAPHS["chain"]


def test_the_last_layer_is_the_one_that_is_used_last():
    """Not the one that was made last."""
    inputs = keras.Input((4,))
    last = keras.layers.Dense(3, name="used_last")
    first = keras.layers.Dense(5, name="made_last")
    encoder = keras.Model(inputs, last(first(inputs)))
    heads = {task: keras.layers.Dense(1) for task in "ab"}
    model = MultiTaskModel(encoder, heads)
    found = roles.scope_variables(model, "last_shared_layer")
    assert {layer_of(v) for v in found} == {"used_last"}


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
        MultiTaskModel.from_functional(CHAIN.model(), "h11")
    with pytest.raises(ValueError, match="'x' separates nothing"):
        MultiTaskModel.from_functional(CHAIN.model(), "x")
    model = MultiTaskModel.from_functional(CHAIN.model(), "h2")
    model.compile("sgd", dict.fromkeys("bc", "mse"))  # Which it separates.
    with pytest.raises(ValueError, match=r"'a' .* not follow from layer 'h2'"):
        model.compile("sgd", "mse")
    assert model.task_names == ("b", "c")
    with pytest.raises(ValueError, match=r"separates nothing: .*'a' alone"):
        MultiTaskModel.from_functional(CHAIN.model(), "a")


def test_what_one_task_trains_below_the_cut_is_no_representation():
    """Of three outputs of a layer, one has a path of its own."""
    inputs = keras.Input((4,))
    trunk = keras.layers.Dense(3, name="trunk")(inputs)
    parts = [keras.layers.Dense(2, name=n)(trunk) for n in ("low", "high")]
    parts.append(keras.layers.Dense(2, name="own")(inputs))
    outer = keras.Input((4,))
    outputs = keras.Model(inputs, parts, name="base")(outer)
    heads = {
        task: keras.layers.Dense(1)(part)
        for task, part in zip("abc", outputs, strict=True)
    }
    model = MultiTaskModel.from_functional(keras.Model(outer, heads))
    found = roles.of(model)
    assert {layer_of(v) for v in found.shared} == {"trunk"}
    assert len(found.reach.below) == 3
    assert found.reach.lowest == (0, 1)
    apart = roles.tasks_apart(model, "representation")
    assert apart == [False, False, True]


def test_a_frozen_tap_is_no_representation():
    inputs = keras.Input((4,))
    frozen = keras.layers.Dense(3)
    tap = frozen(inputs)
    top = keras.layers.Dense(2)(tap)
    places = {"a": tap, "b": top, "c": top}
    heads = {task: keras.layers.Dense(1)(t) for task, t in places.items()}
    model = MultiTaskModel.from_functional(keras.Model(inputs, heads))
    assert roles.of(model).reach.lowest == (0,)
    frozen.trainable = False
    assert roles.of(model).reach.lowest == (1,)


@pytest.mark.parametrize("scope", ["h2", ["h1", "h2"]])
def test_a_scope_of_layers_is_measured_and_saved(scope):
    model = MultiTaskModel.from_functional(CHAIN.model())
    x, y = data(CHAIN)
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
    assert {layer_of(v) for v in found} == names


def test_a_scope_that_is_no_layer_ends_before_training():
    model = MultiTaskModel.from_functional(CHAIN.model())
    x, y = data(CHAIN)
    model.compile("sgd", "mse", weighter=PCGrad(scope="h22"), jit_compile=False)
    before = [np.array(v) for v in model.trainable_variables]
    with pytest.raises(ValueError, match="nor the name of a layer"):
        model.fit(x, y, verbose=0)
    model.compile("sgd", "mse", weighter=PCGrad(scope="b"), jit_compile=False)
    with pytest.raises(ValueError, match=r"separates nothing: .* are \['b'\]"):
        model.fit(x, y, verbose=0)
    for variable, value in zip(model.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
