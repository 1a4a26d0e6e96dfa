"""Building, fitting and reading a model of many tasks."""

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel, weighters
from keras_mtl.data import task_batches
from tests.kinds import KINDS, measured_alike
from tests.reference import make_data, make_model
from tests.training import query_for

LOSSES = {
    "topic": "sparse_categorical_crossentropy",
    "tone": "binary_crossentropy",
}


def functional(seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((4,), name="features")
    middle = keras.layers.Dense(5, "tanh", name="middle")(inputs)
    outputs = {
        "topic": keras.layers.Dense(3, "softmax", name="topic")(middle),
        "tone": keras.layers.Dense(1, "sigmoid", name="tone")(middle),
    }
    return keras.Model(inputs, outputs)


def class_data(rows=20, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4)).astype("float32")
    return x, {
        "topic": rng.integers(0, 3, rows),
        "tone": rng.integers(0, 2, rows),
    }


def fitted(model, x, y, weighter="uniform", **kwargs):
    model.compile(
        keras.optimizers.Adam(1e-2),
        loss=LOSSES,
        metrics={"topic": ["accuracy"]},
        weighter=weighter,
        jit_compile=False,
    )
    return model.fit(x, y, verbose=0, **kwargs)


def test_uniform_training_is_keras_training():
    """The same losses, metrics and parameters as plain `keras.Model.fit`."""
    plain = functional()
    plain.compile(
        keras.optimizers.Adam(1e-2),
        loss=LOSSES,
        loss_weights={"topic": 2.0, "tone": 0.5},
        metrics={"topic": ["accuracy"], "tone": ["mae"]},
        jit_compile=False,
    )
    # Keras weighs a smaller last batch of a task's loss like a whole one.
    x, y = class_data(rows=24)
    settings = {"epochs": 3, "shuffle": False, "batch_size": 8, "verbose": 0}
    expected = plain.fit(x, y, validation_data=(x, y), **settings).history
    model = MultiTaskModel.from_functional(functional(), "middle")
    model.compile(
        keras.optimizers.Adam(1e-2),
        loss=LOSSES,
        loss_weights={"topic": 2.0, "tone": 0.5},
        metrics={"topic": ["accuracy"], "tone": ["mae"]},
        jit_compile=False,
    )
    history = model.fit(x, y, validation_data=(x, y), **settings).history

    new = {"topic_weight", "tone_weight", "skipped_steps"}
    assert set(history) == set(expected) | new
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5)
    for mine, theirs in zip(model.weights[:6], plain.weights[:6], strict=True):
        np.testing.assert_allclose(
            mine.value.numpy(), theirs.value.numpy(), rtol=1e-5, atol=1e-7
        )


def test_history_has_every_task_by_name():
    model = MultiTaskModel.from_functional(functional(), "middle")
    x, y = class_data()
    history = fitted(model, x, y, "slaw", validation_split=0.2, epochs=2)
    assert set(history.history) == {
        *("loss", "topic_loss", "tone_loss", "topic_weight", "tone_weight"),
        *("topic_accuracy", "skipped_steps", "val_loss", "val_topic_loss"),
        *("val_tone_loss", "val_topic_accuracy"),
    }
    assert set(model.task_weights) == {"topic", "tone"}
    assert sum(model.task_weights.values()) == pytest.approx(2.0)


def test_validation_loss_leaves_the_learned_weights_out():
    model = MultiTaskModel.from_functional(functional(), "middle")
    x, y = class_data()
    fitted(model, x, y, weighters.Constant({"tone": 9.0, "topic": 0.1}))
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    assert logs["loss"] == pytest.approx(logs["topic_loss"] + logs["tone_loss"])
    assert model.evaluate(x, y, verbose=0)[0] == pytest.approx(logs["loss"])


def test_tasks_pair_by_name_whatever_the_order():
    x, y = class_data()
    predictions = {}
    for order in (["topic", "tone"], ["tone", "topic"]):
        source = functional()
        middle = source.get_layer("middle")
        encoder = keras.Model(source.input, middle.output)
        layers = {task: source.get_layer(task) for task in order}
        model = MultiTaskModel(encoder, layers)
        weights = {"topic": 2.0, "tone": 0.5}
        fitted(model, x, dict(reversed(y.items())), weighters.Constant(weights))
        predictions[tuple(order)] = model.predict(x, verbose=0)
    first, second = (
        predictions[order] for order in (("topic", "tone"), ("tone", "topic"))
    )
    for task in y:
        np.testing.assert_allclose(first[task], second[task], rtol=1e-6)


def test_separate_inputs_reach_only_their_head():
    model = make_model(2)
    x0, y0 = make_data(2, rows=5, seed=1)
    x1, y1 = make_data(2, rows=8, seed=2)
    inputs = {"task_0": x0, "task_1": x1}
    labels = {"task_0": y0["task_0"], "task_1": y1["task_1"]}
    together = model.predict(inputs, verbose=0)
    np.testing.assert_allclose(
        together["task_0"], model.predict(x0, verbose=0)["task_0"], rtol=1e-5
    )
    assert {t: len(p) for t, p in together.items()} == {
        "task_0": 5,
        "task_1": 8,
    }
    model.compile("sgd", loss="mse", metrics=["mae"], jit_compile=False)
    logs = model.evaluate(
        inputs, labels, batch_size=3, verbose=0, return_dict=True
    )
    for task, label in labels.items():
        error = together[task] - label
        assert logs[f"{task}_loss"] == pytest.approx(np.mean(error**2))
        assert logs[f"{task}_mae"] == pytest.approx(np.mean(np.abs(error)))
    history = model.fit(
        inputs, labels, validation_split=0.25, batch_size=2, verbose=0
    )
    assert "val_task_1_loss" in history.history
    dataset = task_batches(
        {task: (inputs[task], labels[task]) for task in inputs}, 4
    )
    model.fit(dataset, shuffle=False, verbose=0)


def test_sample_weights_of_some_tasks_only():
    model = MultiTaskModel.from_functional(functional(), "middle")
    x, y = class_data()
    kept = (np.arange(20) < 5).astype("float32")
    fitted(model, x, y, sample_weight={"tone": kept})
    some = {"x": x, "y": y, "verbose": 0, "return_dict": True}
    logs = model.evaluate(**some, sample_weight={"tone": kept})
    part = {task: label[:5] for task, label in y.items()}
    five = model.evaluate(x[:5], part, verbose=0, return_dict=True)
    whole = model.evaluate(**some)
    assert logs["tone_loss"] == pytest.approx(five["tone_loss"], rel=1e-5)
    assert logs["topic_loss"] == pytest.approx(whole["topic_loss"], rel=1e-5)
    assert logs["topic_accuracy"] == pytest.approx(whole["topic_accuracy"])


@pytest.mark.parametrize("representation", [None, "middle"])
def test_from_functional_shares_layers_and_finds_roles(representation):
    source = functional()
    model = MultiTaskModel.from_functional(source, representation)
    x, y = class_data()
    fitted(model, x, y, weighters.PCGrad(seed=0))
    np.testing.assert_allclose(
        model.predict(x, verbose=0)["tone"],
        source.predict(x, verbose=0)["tone"],
        rtol=1e-6,
    )
    from keras_mtl.gradients import roles

    names = [v.path for v in roles.shared_variables(model)]
    assert names == ["middle/kernel", "middle/bias"]
    last = roles.scope_variables(model, "last_shared_layer")
    assert [v.path for v in last] == names
    assert len(roles.head_variables(model)) == 4


# They train a task with the help of others.
TAKE_TWO = ("meta_balance",)


def test_one_task_works_and_none_does_not():
    """Every kind; what is measured for it is traced once."""
    model = make_model(1)
    x, y = make_data(1)
    traced = set()
    for name in KINDS:
        query = {"query_split": 0.3} if query_for(name) else {}
        asked = measured_alike(name)
        model.compile(
            "sgd",
            "mse",
            metrics=["mae"],
            jit_compile=False,
            run_eagerly=asked in traced,
        )
        if name in TAKE_TWO:
            with pytest.raises(ValueError, match="two tasks or more"):
                model.fit(x, y, weighter=name, verbose=0, **query)
            continue
        traced.add(asked)
        history = model.fit(x, y, weighter=name, verbose=0, **query).history
        assert "task_0_mae" in history
    with pytest.raises(
        ValueError, match="`heads` must be a dict with at least"
    ):
        MultiTaskModel(model.encoder, {})


def test_regularisation_belongs_to_no_task():
    inputs = keras.Input((4,))
    trunk = keras.layers.Dense(3, kernel_regularizer=keras.regularizers.L2(0.5))
    encoder = keras.Model(inputs, trunk(inputs))
    model = MultiTaskModel(encoder, {"a": keras.layers.Dense(1)})
    model.compile(
        keras.optimizers.SGD(0.1),
        loss="mse",
        weighter=weighters.Constant([0.0]),
        jit_compile=False,
    )
    kernel = trunk.kernel.value.numpy()
    x = np.zeros((4, 4), "float32")
    logs = model.train_on_batch(x, {"a": np.ones(4)}, return_dict=True)
    assert logs["loss"] == pytest.approx(0.5 * np.sum(kernel**2), rel=1e-5)
    # ∂(½‖W‖²)/∂W = W, at weight 1.
    np.testing.assert_allclose(
        trunk.kernel.value.numpy(), 0.9 * kernel, rtol=1e-5
    )


def test_outputs_are_traced_again_once_layers_have_changed():
    head = keras.Sequential([keras.layers.Dense(1)])
    model = MultiTaskModel(keras.layers.Dense(3), {"a": head})
    inputs = keras.KerasTensor((None, 4))
    first = model.build_from_inputs(inputs)
    model.compile("sgd", "mse", weighter="slaw")
    assert model.build_from_inputs(inputs)["a"] is first["a"]
    head.pop()
    head.add(keras.layers.Dense(2))
    assert model.build_from_inputs(inputs)["a"].shape == (None, 2)
    assert len(model.trainable_variables) == 4


def test_heads_are_those_that_the_model_was_made_with():
    """One set later would be computed and never trained."""
    model = MultiTaskModel(keras.layers.Dense(3), {"a": keras.layers.Dense(1)})
    for change in (
        lambda: model.heads.update(b=keras.layers.Dense(1)),
        lambda: model.heads.pop("a"),
        lambda: model.heads.__setitem__("a", keras.layers.Dense(1)),
    ):
        with pytest.raises(TypeError, match=r"\{\*\*model.heads, '[ab]'"):
            change()
    more = MultiTaskModel(
        model.encoder, {**model.heads, "b": keras.layers.Dense(1)}
    )
    assert [*more.heads] == ["a", "b"]
