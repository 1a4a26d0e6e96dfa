"""A model with stacked heads does what its twin with named ones does."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_mtl import weighters
from keras_mtl.data import mask_missing
from tests.tasks.stacked_twins import (
    NAMES,
    by_name,
    compiled,
    head_weights,
    make_data,
    named_twin,
    stacked_model,
)
from tests.test_graph import operations
from tests.training import read

FIT = {"batch_size": 8, "shuffle": False, "verbose": 0}
WEIGHTS = {"age": 0.5, "stars": 2.0}


def assert_alike(stacked, named):
    for mine, other in zip(
        read(stacked.encoder.variables),
        read(named.encoder.variables),
        strict=True,
    ):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=2e-4)
    for mine, other in zip(
        head_weights(stacked), head_weights(named), strict=True
    ):
        for a, b in zip(mine, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-4)
    assert list(stacked.task_weights) == list(named.task_weights)
    np.testing.assert_allclose(
        list(stacked.task_weights.values()),
        list(named.task_weights.values()),
        rtol=1e-3,
        atol=1e-4,
    )


def assert_same_logs(received, expected):
    assert sorted(received) == sorted(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(
            received[name], value, rtol=1e-3, atol=1e-4, err_msg=name
        )


@pytest.mark.parametrize(
    ("name", "units"),
    [
        *(("uncertainty", 1), ("mgda", 1), ("pcgrad", 3)),
        ("meta_weighting", 1),
    ],
)
def test_trains_as_named_heads_do(name, units):
    """With missing labels, sample weights, loss weights and metrics."""
    first, second = name, name
    if name == "pcgrad":  # It would draw two seeds.
        first, second = (weighters.PCGrad(shuffle=False) for _ in range(2))
    model = stacked_model(units)
    twin = named_twin(model)
    compiled(model, first, units, loss_weights=WEIGHTS)
    compiled(twin, second, units, loss_weights=WEIGHTS)
    x, y, weight = make_data(units=units)
    mine, other = {}, {}
    if name == "meta_weighting":
        query = make_data(8, units, seed=2)
        mine["query_data"] = query
        other["query_data"] = (query[0], *map(by_name, query[1:]))
    validation = make_data(9, units, seed=3)
    mine["validation_data"] = validation
    other["validation_data"] = (validation[0], *map(by_name, validation[1:]))

    history = model.fit(
        x, y, sample_weight=weight, epochs=2, **FIT, **mine
    ).history
    expected = twin.fit(
        x,
        by_name(y),
        sample_weight=by_name(weight),
        epochs=2,
        **FIT,
        **other,
    ).history

    assert_alike(model, twin)
    assert_same_logs(history, expected)
    predicted = by_name(model.predict(x, verbose=0))
    for task, value in twin.predict(x, verbose=0).items():
        np.testing.assert_allclose(
            np.squeeze(predicted[task]), np.squeeze(value), atol=1e-3
        )


@functools.cache
def twins():
    """Two models, to compile anew; evaluations leave them as they are."""
    model = stacked_model()
    return model, named_twin(model)


@settings(max_examples=8)
@given(
    seed=st.integers(0, 99),
    missing=st.floats(0.0, 0.9),
    loss=st.sampled_from(
        [
            *("mse", "mae", "binary_crossentropy", "hinge"),
            keras.losses.Huber(delta=0.2),
            keras.losses.BinaryCrossentropy(
                label_smoothing=0.1, reduction="sum"
            ),
            keras.losses.MeanSquaredError(reduction="mean_with_sample_weight"),
        ]
    ),
)
def test_evaluates_as_named_heads_do(seed, missing, loss):
    model, twin = twins()
    metrics = ["binary_accuracy", "mae"]
    for one in (model, twin):
        compiled(one, loss=loss, metrics=metrics, run_eagerly=True)
    x, y, weight = make_data(9, seed=seed, missing=missing)
    kwargs = {"verbose": 0, "return_dict": True}
    received = model.evaluate(x, y, sample_weight=weight, **kwargs)
    expected = twin.evaluate(
        x, by_name(y), sample_weight=by_name(weight), **kwargs
    )
    assert_same_logs(received, expected)


def test_nan_labels_and_weights_of_rows():
    x, y, _ = make_data()
    weight = np.linspace(0.1, 1.0, len(y)).astype("float32")
    kwargs = {"verbose": 0, "return_dict": True}
    model = compiled(stacked_model())
    whole = model.evaluate(x, y, sample_weight=weight, **kwargs)
    repeated = np.repeat(weight[:, None], len(NAMES), axis=1)
    assert_same_logs(
        model.evaluate(x, y, sample_weight=repeated, **kwargs), whole
    )
    y[::3, 1] = np.nan
    masked, present = mask_missing(y, vector=False)
    assert present.shape == y.shape
    logs = model.evaluate(x, masked, sample_weight=present, **kwargs)
    assert_same_logs(
        model.evaluate(x, y, sample_weight=present, **kwargs), logs
    )
    rest = np.arange(len(y)) % 3 != 0
    expected = model.evaluate(x[rest], y[rest], **kwargs)
    assert logs["age_loss"] == pytest.approx(expected["age_loss"], rel=1e-5)
    assert logs["age_accuracy"] == pytest.approx(expected["age_accuracy"])


def test_one_hot_labels_and_a_list_of_loss_weights():
    x, y, weight = make_data(units=3)
    first = compiled(stacked_model(3), units=3, loss_weights=WEIGHTS)
    second = compiled(
        stacked_model(3),
        loss="categorical_crossentropy",
        weighted_metrics=None,
        loss_weights=[1.0, 0.5, 1.0, 2.0],
    )
    expected = first.train_on_batch(x, y, weight, return_dict=True)
    one_hot = np.eye(3, dtype="float32")[y]
    received = second.train_on_batch(x, one_hot, weight, return_dict=True)
    assert_same_logs(received, expected)


def test_query_split_and_data_sets():
    x, y, weight = make_data(60)
    model = compiled(stacked_model(), "meta_weighting")
    history = model.fit(
        x, y, sample_weight=weight, query_split=0.2, **FIT
    ).history
    assert np.isfinite(history["tone_loss"][0])
    data = tf.data.Dataset.from_tensor_slices((x, y, weight)).batch(8)
    history = model.fit(data, weighter="slaw", verbose=0).history
    assert np.isfinite(history["loss"][0])


@pytest.mark.parametrize("name", ["slaw", "gradnorm"])
def test_saved_in_mid_training_goes_on(name, tmp_path):
    data = make_data()
    model = compiled(stacked_model(), name, loss_weights=[1, 2, 3, 4])
    model.train_on_batch(*data)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    received = loaded.train_on_batch(*data, return_dict=True)
    assert received == model.train_on_batch(*data, return_dict=True)
    for mine, other in zip(
        read(loaded.trainable_variables),
        read(model.trainable_variables),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, other)


def test_export_names_the_tasks(tmp_path):
    model = stacked_model()
    x, *_ = make_data()
    expected = by_name(model.predict(x, verbose=0))
    model.export(tmp_path / "served", verbose=False)
    served = tf.saved_model.load(tmp_path / "served")
    assert set(served.signatures) == {"serve", "serving_default"}
    predictions = served.signatures["serve"](features=tf.constant(x))
    assert set(predictions) == set(NAMES)
    for task, value in predictions.items():
        np.testing.assert_allclose(value, expected[task], rtol=1e-5)


@pytest.mark.parametrize(
    "name", ["constant", "slaw", "dwa", "uncertainty", "gradnorm"]
)
def test_the_graph_does_not_grow_with_the_tasks(name):
    counts = []
    for num_tasks in (4, 64):
        model = stacked_model(names=[f"t{k}" for k in range(num_tasks)])
        compiled(model, name)
        batch = make_data(8, num_tasks=num_tasks)
        model._maybe_symbolic_build(data_batch=batch)
        step = tf.function(model.train_step, autograph=False)
        specs = tuple(tf.TensorSpec(a.shape, a.dtype) for a in batch)
        counts.append(operations(step.get_concrete_function(specs)))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("name", ["constant", "mgda"])
def test_two_replicas_do_what_one_does(name, strategy):
    x, y, weight = make_data(21)
    weight[4:8, 2] = 0.0  # All of the second replica's in the first batch.
    with strategy.scope():
        model = compiled(stacked_model(), name)
    other = compiled(stacked_model(), name, run_eagerly=True)
    kwargs = {"sample_weight": weight, "epochs": 2, **FIT}
    history = model.fit(x, y, **kwargs).history
    expected = other.fit(x, y, **kwargs).history
    assert_alike(model, other)
    assert_same_logs(history, expected)


def test_callbacks_see_numbers_by_name():
    """Also where several steps run in one execution, and at every step."""

    class Seen(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            steps.append(logs)

        def on_test_batch_end(self, batch, logs=None):
            tests.append(logs)

    steps, tests = [], []
    data = make_data(24)
    model = compiled(stacked_model(), "slaw", steps_per_execution=2)
    history = model.fit(
        *data[:2],
        callbacks=[Seen(), keras.callbacks.TerminateOnNaN()],
        validation_data=data,
        **FIT,
    ).history
    names = {f"{t}_{w}" for t in NAMES for w in ("loss", "weight")}
    names |= {f"{t}_{w}" for t in NAMES for w in ("accuracy", "mse")}
    names |= {"loss", "skipped_steps", "mean_accuracy", "mean_mse"}
    assert len(steps) == 2
    for logs in steps:
        assert type(logs) is dict
        assert set(logs) == names
        assert all(type(value) is float for value in logs.values())
    for name in names:
        assert history[name][0] == pytest.approx(steps[-1][name])
    assert {f"val_{name}" for name in tests[-1]} == set(history) - names
