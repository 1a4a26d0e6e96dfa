"""Saving, serving, replicas, precision, and what is refused."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel, weighters
from keras_mtl.architectures import (
    SharedPrivate,
    TaskDiscriminator,
    TaskEncoder,
)
from keras_mtl.gradients import TaskGradients
from keras_mtl.layers import StackedHeads
from tests.architectures.adversarial import (
    TASKS,
    Dense,
    build,
    compiled,
    data,
    values,
)


@pytest.mark.parametrize("private", [True, False])
def test_a_saved_model_goes_on(tmp_path, private):
    optimizer = keras.optimizers.Adam(0.01)
    kwargs = {"threshold": 0.5, "hidden_units": (3,), "optimizer": optimizer}
    model = compiled("slaw", private, **kwargs)
    x, y = data()
    model.train_on_batch(x, y)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for either in (model, loaded):
        logs = either.train_on_batch(x, y, return_dict=True)
        assert logs["discriminator_loss"] > 0
    mine, theirs = list(values(loaded).values()), list(values(model).values())
    assert len(mine) == len(theirs)
    for value, other in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(value, other)


def test_weights_follow_names_not_the_order_of_tasks(tmp_path):
    path = tmp_path / "model.weights.h5"
    model = compiled()
    model.save_weights(path)
    x, _ = data()
    encoder = SharedPrivate(
        Dense(5, "tanh"), {task: Dense(3, "tanh") for task in TASKS[::-1]}
    )
    heads = {task: Dense(2) for task in sorted(TASKS)}
    other = MultiTaskModel(encoder, heads, discriminator=TaskDiscriminator())
    other(x)
    other.load_weights(path)
    expected = model.predict(x, verbose=0)
    received = other.predict(x, verbose=0)
    for task in TASKS:
        np.testing.assert_allclose(received[task], expected[task], rtol=1e-5)
    features = tf.ones((2, 5))
    np.testing.assert_allclose(
        other.discriminator(features), model.discriminator(features), rtol=1e-6
    )


def test_serving_needs_no_discriminator(tmp_path):
    model = compiled()
    x, y = data()
    model.train_on_batch(x, y)
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    assert "discriminator_loss" not in logs
    assert logs["loss"] == pytest.approx(
        sum(logs[f"{task}_loss"] for task in TASKS), rel=1e-5
    )
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    unserved = len(model.discriminator.trainable_variables)
    assert unserved == 2
    number = len(values(model)) - unserved
    assert len(served.variables) == number
    expected = model.predict(x, verbose=0)
    for task in TASKS:
        (received,) = served.signatures[task](tf.constant(x[task])).values()
        np.testing.assert_allclose(received, expected[task], rtol=1e-5)


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_two_replicas_are_one_device_on_the_global_batch(strategy, threshold):
    """Without the difference, which each replica takes of its own rows."""
    x, y = data(rows=8, uneven=False)
    results = []
    for where in (strategy, None):
        with where.scope() if where else contextlib.nullcontext():
            model = build(
                False, TaskDiscriminator(weight=0.7, threshold=threshold)
            )
            model.compile(
                keras.optimizers.SGD(0.05),
                loss="mse",
                jit_compile=False,
                run_eagerly=where is None,
            )
        fit = {"batch_size": 4, "shuffle": False, "verbose": 0}
        history = model.fit(x, y, **fit).history
        results.append([*values(model).values(), *history.values()])
    for received, expected in zip(*results, strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)


def test_each_replica_adds_the_difference_of_its_own_rows(strategy):
    """On the same rows twice, both replicas have that of one device."""
    x, y = data(rows=4, uneven=False)
    doubled = [
        {t: np.tile(v, (2, 1)) for t, v in part.items()} for part in (x, y)
    ]
    results = []
    for where, batch in ((strategy, doubled), (None, (x, y))):
        with where.scope() if where else contextlib.nullcontext():
            model = build()
            model.compile(
                keras.optimizers.SGD(0.05),
                loss="mse",
                jit_compile=False,
                run_eagerly=where is None,
            )
        fit = {"batch_size": 8 if where else 4, "shuffle": False}
        history = model.fit(*batch, **fit, verbose=0).history
        results.append([*values(model).values(), *history.values()])
    for received, expected in zip(*results, strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)


def test_xla_and_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    model = build(True, TaskDiscriminator(threshold=0.1))
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.01), initial_scale=2.0**6
    )
    model.compile(optimizer, loss="mse", jit_compile=True)
    x, y = data()
    logs = model.train_on_batch(x, y, return_dict=True)
    assert logs["skipped_steps"] == 0.0
    assert logs["discriminator_loss"] == pytest.approx(np.log(3), rel=0.5)


def heads(tasks=TASKS):
    return {task: Dense(2) for task in tasks}


def private(tasks=TASKS):
    return SharedPrivate(Dense(5), {task: Dense(3) for task in tasks})


class Plain(TaskEncoder):
    """Has no shared features."""


Whole = type("Whole", (TaskEncoder,), {"call": TaskEncoder.by_task})
CASES = [
    (
        lambda: MultiTaskModel(private((*TASKS, "star")), heads()),
        "Task 'star' has a representation but the model has no head of that "
        "name. Heads: ['tone', 'stars', 'class']. Did you mean 'stars'?",
    ),
    (
        lambda: MultiTaskModel(private(TASKS[:2]), heads()),
        "The model has heads for the tasks ['class'], which have no "
        "representation. Received: representation for ['tone', 'stars'].",
    ),
    (
        lambda: SharedPrivate(Dense(5), {}),
        "Argument `private` must be a dict with at least one entry, from task "
        "name to layer. Received: private={}",
    ),
    (
        lambda: SharedPrivate(Dense(5), {"tone": 3}),
        "The private extractor of task 'tone' must be a Keras layer or model. "
        "Received: 3 (of type int)",
    ),
    (
        lambda: SharedPrivate(Dense(5), {"tone": Dense(2)}, -1.0),
        "Argument `difference_weight` must be at least 0. Received: "
        "difference_weight=-1.0",
    ),
    (
        lambda: TaskDiscriminator(weight=-0.1),
        "Argument `weight` must be at least 0. Received: weight=-0.1",
    ),
    (
        lambda: TaskDiscriminator(threshold=-0.1),
        "Argument `threshold` must be at least 0. Received: threshold=-0.1",
    ),
    (
        lambda: TaskDiscriminator(task_names=["a"]),
        "A task discriminator needs at least two tasks to tell apart. "
        "Received: ['a']",
    ),
    (
        lambda: TaskDiscriminator(task_names=["a", "discriminator"]),
        "The task name 'discriminator' is taken by the loss of the task "
        "discriminator in History. Rename the task.",
    ),
    (
        lambda: build(False, TaskDiscriminator(task_names=["a", "b"])),
        "TaskDiscriminator has other tasks than the model. "
        "Expected: ['class', 'stars', 'tone']. Received: ['a', 'b']. Make a "
        "new TaskDiscriminator.",
    ),
    (
        lambda: build(False, "yes"),
        "Argument `discriminator` must be a "
        "keras_mtl.architectures.TaskDiscriminator or None. Received: "
        "discriminator='yes' (of type str)",
    ),
    (
        lambda: MultiTaskModel(Whole(TASKS), StackedHeads(TASKS)),
        "Stacked heads take the representations of all tasks in one tensor. "
        "Whole overrides call(), and gives each task one of its own. Define "
        "shared() and own() in it, or give MultiTaskModel a dict of heads.",
    ),
    (
        lambda: MultiTaskModel(
            Dense(5), StackedHeads(TASKS), discriminator=TaskDiscriminator()
        ),
        "Stacked heads take the same inputs for every task, whose rows no task "
        "discriminator can tell apart. Give MultiTaskModel a dict of heads and "
        "separate inputs, or no discriminator.",
    ),
    (
        lambda: MultiTaskModel(
            Plain(TASKS), heads(), discriminator=TaskDiscriminator()
        ),
        "Plain has no shared features for a task discriminator. Set its "
        "`shares_features` if shared() returns them, or drop the "
        "discriminator.",
    ),
]


@pytest.mark.parametrize(("make", "message"), CASES)
def test_what_does_not_fit_together(make, message):
    with pytest.raises(ValueError) as error:
        make()
    assert str(error.value) == message


def test_outputs_of_a_functional_model_are_no_representation():
    inputs = keras.Input((4,))
    outputs = {task: Dense(2)(inputs) for task in TASKS}
    with pytest.raises(ValueError, match="reads the representation, but the"):
        MultiTaskModel.from_functional(
            keras.Model(inputs, outputs), discriminator=TaskDiscriminator()
        )


def test_shared_inputs_are_refused_before_training():
    model = compiled()
    x, y = data(uneven=False)
    before = values(model)
    with pytest.raises(ValueError) as error:
        model.fit(x["tone"], y, verbose=0)
    assert str(error.value) == (
        "A task discriminator tells tasks apart by their rows. Received: "
        "shared inputs, whose rows belong to every task. Pass "
        "x={task: inputs}, or make the model without a discriminator."
    )
    for name, value in values(model).items():
        np.testing.assert_array_equal(value, before[name])
    model.evaluate(x["tone"], y, verbose=0)


def test_the_shared_features_are_the_representation():
    """With inputs of their own, tasks have no rows there in common."""
    model = build()
    weighter = weighters.MGDA(scope="representation")
    model.compile("sgd", loss="mse", weighter=weighter, jit_compile=False)
    x, y = data()
    assert not model.has_common_representation(x)
    model.train_on_batch(x, y)
    gramian = TaskGradients(model, (x, y, None), training=False).gramian(
        "representation"
    )
    assert np.all(np.diag(gramian) > 0)
    np.testing.assert_array_equal(gramian, np.diag(np.diag(gramian)))


def test_features_of_unknown_size():
    discriminator = TaskDiscriminator(task_names=TASKS)
    with pytest.raises(ValueError) as error:
        discriminator.build_for(keras.KerasTensor((None, None, 3)))
    assert str(error.value) == (
        "A task discriminator needs shared features of known size. Received: "
        "shapes [(None, None, 3)]. End the encoder with a pooling or Dense "
        "layer."
    )
