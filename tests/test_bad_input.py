"""Every bad input gets an error that names it, before or at the first step."""

import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel, weighters
from keras_mtl.data import SupportQuery
from tests.reference import make_data, make_model


def compiled(num_tasks=2, weighter="uniform", **kwargs):
    model = make_model(num_tasks)
    model.compile(
        "sgd", loss="mse", weighter=weighter, jit_compile=False, **kwargs
    )
    return model


def fit(model, x, y, **kwargs):
    before = [v.value.numpy() for v in model.trainable_variables]
    try:
        model.fit(x, y, verbose=0, **kwargs)
    finally:
        for variable, value in zip(
            model.trainable_variables, before, strict=True
        ):
            np.testing.assert_array_equal(variable.value.numpy(), value)


def labels(**changes):
    y = {**make_data(2)[1], **changes}
    return {task: label for task, label in y.items() if label is not None}


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ({}, r"No task that has a loss has labels. Pass y=\{task: labels\}"),
        (labels(task_2=np.ones(7)), r"Task 'task_2' has a label but the model"),
        (np.ones((7, 3)), r"Labels must be a dict from task name to array"),
        (None, r"Received: 'no labels'. Pass y=\{task: labels\}"),
        (
            labels(task_0=np.ones((7, 2))),
            r"labels of task 'task_0' do not have",
        ),
        (
            labels(task_0=np.array([["x"] * 3] * 7)),
            r"Task 'task_0' has labels that are",
        ),
    ],
)
def test_labels(y, message):
    with pytest.raises(ValueError, match=message):
        fit(compiled(), make_data(2)[0], y)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"sample_weight": {"x": np.ones(7)}},
            "Task 'x' has a sample weight but",
        ),
        (
            {"sample_weight": {"task_1": np.zeros(7)}},
            "Task 'task_1' has no label in the training set",
        ),
    ],
)
def test_sample_weights(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit(compiled(), *make_data(2), **arguments)


def test_separate_inputs():
    x, y = make_data(2)
    with pytest.raises(ValueError, match=r"for the tasks \['task_1'\], which"):
        fit(compiled(), {"task_0": x}, y)
    with pytest.raises(ValueError, match="alike but for the number of rows"):
        fit(compiled(), {"task_0": x, "task_1": x[:, :3]}, y)


@pytest.mark.parametrize("as_data_set", [False, True])
def test_an_empty_training_set(as_data_set):
    x, y = make_data(2, rows=0)
    if as_data_set:
        data = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
        x, y = data, None
    with pytest.raises(ValueError, match="The training set is empty"):
        fit(compiled(), x, y)


def test_query_data_that_is_missing_or_wrong():
    model = compiled(weighter="meta_weighting")
    x, y = make_data(2)
    message = (
        r"^MetaWeighting needs query data. Pass query_split=0.1 or "
        r"query_data=... to fit\(\).$"
    )
    with pytest.raises(ValueError, match=message):
        fit(model, x, y)
    with pytest.raises(ValueError, match=r"query_data=... to train_on_batch"):
        model.train_on_batch(x, y)
    for split in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match="query_split"):
            fit(model, x, y, query_split=split)
    with pytest.raises(ValueError, match="is left with no query example"):
        fit(model, x, y, query_split=0.01)
    with pytest.raises(ValueError, match="not both"):
        fit(model, x, y, query_split=0.5, query_data=(x, y))
    with pytest.raises(ValueError, match=r"Labels must be a dict .*array of"):
        fit(model, x, y, query_data=(x, y["task_0"]))
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    with pytest.raises(ValueError, match="query_split splits arrays"):
        fit(model, data, None, query_split=0.5)


def test_query_data_that_nobody_uses_is_said():
    x, y = make_data(2)
    for arguments in (
        {"query_split": 0.5},
        {"query_data": (x, y)},
        {"query_batch_size": 4},
    ):
        with pytest.warns(
            UserWarning, match="Constant does not use query data"
        ):
            compiled().fit(x, y, verbose=0, **arguments)
    with pytest.warns(UserWarning, match="does not use query data"):
        compiled().train_on_batch(x, y, query_data=(x, y))
    query = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    model = compiled(weighter="meta_weighting")
    with pytest.warns(UserWarning, match="query data are a data set, which"):
        model.fit(x, y, query_data=query, query_batch_size=2, verbose=0)


def test_task_weights_before_compile():
    with pytest.raises(ValueError, match=r"call `compile\(\)` before"):
        _ = make_model(2).task_weights


def test_a_zipped_data_set_for_a_weighter_without_query_trains():
    x, y = make_data(2, rows=8)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    zipped = tf.data.Dataset.zip(SupportQuery(data, data))
    with pytest.warns(UserWarning, match="does not use query data"):
        compiled().fit(zipped, shuffle=False, verbose=0)


def test_weighters_that_do_not_exist():
    message = (
        r"^Unknown weighter 'mdga'. Did you mean 'mgda'\? 'keras-mtl list' "
        r"shows all.$"
    )
    with pytest.raises(ValueError, match=message):
        compiled(weighter="mdga")
    with pytest.raises(ValueError, match="must be a name, a config dict or a"):
        compiled(weighter=3)
    with pytest.raises(ValueError, match=r"must name the model's tasks"):
        compiled(weighter=weighters.Constant({"task_0": 1.0}))
    used = compiled(weighter="slaw").weighter
    with pytest.raises(ValueError, match="SLAW already serves another model"):
        compiled(3, weighter=used)


def test_heads_and_encoders():
    good = keras.layers.Dense(1)
    with pytest.raises(ValueError, match="`encoder` must be a Keras layer"):
        MultiTaskModel(lambda x: x, {"a": good})
    with pytest.raises(
        ValueError, match="head of task 'a' must be a Keras lay"
    ):
        MultiTaskModel(good, {"a": "dense"})
    for name in ("", "a/b", 3):
        with pytest.raises(ValueError, match="task's name must be a string"):
            MultiTaskModel(good, {name: good})


def test_a_representation_is_a_layer_of_the_model():
    inputs = keras.Input((4,))
    middle = keras.layers.Dense(5)(inputs)
    outputs = {f"task_{k}": keras.layers.Dense(3)(middle) for k in range(2)}
    functional = keras.Model(inputs, outputs)
    with pytest.raises(ValueError, match="nowhere"):
        MultiTaskModel.from_functional(functional, "nowhere")


@pytest.mark.parametrize("weighter", ["uniform", "slaw", "pcgrad", "mgda"])
def test_a_head_that_does_not_reach_the_shared_variables(weighter):
    class Deaf(keras.layers.Layer):
        def build(self, shape):
            self.bias = self.add_weight(shape=(3,), initializer="ones")

        def call(self, inputs):
            return tf.zeros_like(inputs[:, :3]) + self.bias

    encoder = make_model(1).encoder
    model = MultiTaskModel(
        encoder, {"task_0": keras.layers.Dense(3), "task_1": Deaf()}
    )
    model.compile("sgd", loss="mse", weighter=weighter, jit_compile=False)
    with pytest.raises(
        ValueError, match="head of task 'task_1' does not reach"
    ):
        fit(model, *make_data(2))


def test_metrics():
    with pytest.raises(ValueError, match="Task 'x' has a metric but the model"):
        compiled(metrics={"x": ["mae"]})
    shared = keras.metrics.MeanAbsoluteError()
    with pytest.raises(ValueError, match="metric objects cannot be shared"):
        compiled(metrics=[shared])


def test_loading_what_is_not_there_or_broken(tmp_path):
    class Unregistered(weighters.Weighter):
        def call(self, losses):
            return tf.ones_like(losses)

    model = compiled(weighter=Unregistered())
    path = tmp_path / "model.keras"
    model.save(path)
    with pytest.raises((TypeError, ValueError), match="Unregistered"):
        keras.models.load_model(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises((ValueError, OSError, zipfile.BadZipFile)):
        keras.models.load_model(path)


def test_a_config_cannot_smuggle_code():
    model = compiled(weighter="slaw")
    config = json.loads(json.dumps(weighters.serialize(model.weighter)))
    for name in ("Lambda", "keras_mtl>MultiTaskModel", "os"):
        smuggled = {**config, "class_name": name, "registered_name": name}
        with pytest.raises(ValueError, match=r"not registered|not a weighter"):
            weighters.deserialize(smuggled)
    with pytest.raises(ValueError, match=r"config does not fit SLAW"):
        weighters.deserialize({**config, "config": {"momentums": 3}})
