"""Bad numbers and absent labels: nothing lost, nobody else touched."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.kinds import KINDS
from tests.training import (
    TASKS,
    differing,
    make_data,
    new_model,
    query_for,
    read,
    separate,
    state,
    step,
)

ROWS = 12


def spoilt(where, seed=3):
    """Returns separate inputs whose loss of the task "stars" is lost.

    By a NaN among the inputs, or a label whose square overflows: a NaN label
    is refused before training.
    """
    x, y = separate(make_data(ROWS, seed))
    side = x if where == "inputs" else y
    side["stars"] = side["stars"].copy()
    side["stars"][2, 1] = np.nan if where == "inputs" else 3e38
    return x, y


@pytest.mark.parametrize(
    ("name", "where", "mode"),
    [
        ("slaw", "inputs", {"jit_compile": True}),
        ("uncertainty", "labels", {"jit_compile": False}),
        ("mgda", "inputs", {"jit_compile": False}),
        ("pcgrad", "labels", {"run_eagerly": True}),
        ("meta_weighting", "labels", {"jit_compile": False}),
        ("meta_weighting", "inputs", {"run_eagerly": True}),
        ("meta_weighting", "inputs", {"jit_compile": True}),
    ],
)
def test_a_spoilt_step_leaves_everything_as_it_was(name, where, mode):
    model = new_model(name, model={"batch_norm": True}, **mode)
    query = query_for(name)
    query = query and separate(query)
    good = separate(make_data(ROWS, 1))
    model.train_on_batch(*good, query_data=query)
    before = state(model)

    logs = model.train_on_batch(
        *spoilt(where), query_data=query, return_dict=True
    )

    assert not differing(state(model), before)
    assert logs["skipped_steps"] == 1.0
    logs = model.train_on_batch(*good, query_data=query, return_dict=True)
    assert logs["skipped_steps"] == 0.0
    assert np.isfinite(logs["loss"])
    after = state(model)
    assert all(np.all(np.isfinite(value)) for value in after.values())
    assert "encoder/0" in differing(after, before)


def test_fit_counts_spoilt_steps_and_warns_once():
    metrics = {"tone": ["accuracy"], "stars": ["mae"], "class": ["accuracy"]}
    settings = {"model": {"batch_norm": True}, "metrics": metrics}
    model = new_model("slaw", **settings)
    x, y = make_data(6 * ROWS)
    y["stars"][ROWS + 1] = 3e38
    y["stars"][4 * ROWS] = 3e38
    good = (y["stars"] < 1e38).all(axis=1).reshape(6, ROWS).all(axis=1)
    kept = new_model("slaw", **settings)
    kept_rows = np.repeat(good, ROWS)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        history = model.fit(
            x, y, batch_size=ROWS, epochs=3, shuffle=False, verbose=0
        ).history

    told = [w for w in caught if issubclass(w.category, UserWarning)]
    assert len(told) == 1
    assert str(told[0].message) == (
        "2 steps of epoch 1 were skipped: the losses of the tasks ['stars'] "
        "were not finite. Parameters and weighter kept their values. Look for "
        "NaN in the data, or lower the learning rate; History counts "
        "`skipped_steps`."
    )
    assert history["skipped_steps"] == [2.0, 2.0, 2.0]
    expected = kept.fit(
        x[kept_rows],
        {task: label[kept_rows] for task, label in y.items()},
        batch_size=ROWS,
        epochs=3,
        shuffle=False,
        verbose=0,
    ).history
    assert not differing(state(model), state(kept))
    assert "stars_mae" in expected
    for key in set(expected) - {"skipped_steps"}:
        np.testing.assert_array_equal(history[key], expected[key])


@pytest.mark.parametrize("name", ["slaw", "mgda"])
def test_masked_labels_do_no_harm(name):
    """Whatever stands where the weight is 0: the result is the same."""
    x, y = make_data(ROWS)
    weight = {task: np.ones(ROWS, "float32") for task in TASKS}
    for k, task in enumerate(TASKS):
        weight[task][k :: k + 3] = 0.0
    garbage = {"tone": np.nan, "stars": np.inf, "class": -1}
    results = []
    for bad in (False, True):
        labels = {task: label.copy() for task, label in y.items()}
        for task in TASKS if bad else ():
            labels[task][weight[task] == 0.0] = garbage[task]
        model = new_model(
            name,
            metrics={"stars": ["mae"], "class": ["accuracy"]},
            weighted_metrics={"tone": ["accuracy"]},
        )
        logs = model.train_on_batch(x, labels, weight, return_dict=True)
        assert logs["skipped_steps"] == 0.0
        results.append((state(model), logs))
    (received, logs), (expected, other) = results
    assert not differing(received, expected)
    assert logs == other


@pytest.mark.parametrize("name", KINDS)
def test_an_absent_task_stays_as_it_is(name):
    """Its head and its part of the weighter's state; the rest goes on."""
    model = new_model(name, keras.optimizers.SGD(0.05))
    for number in range(3):
        step(model, number)
    x, y = make_data(ROWS, 9)
    absent = TASKS.index("stars")
    weight = {"stars": np.zeros(ROWS, "float32")}
    query = query_for(name)
    if query:
        query = (*query, {"stars": np.zeros(6, "float32")})
    head = read(model.heads["stars"].variables)
    before = [s[..., absent] for s in _by_task(model)]

    logs = model.train_on_batch(x, y, weight, None, True, query)

    assert np.isnan(logs["stars_loss"])
    assert np.isfinite(logs["loss"])
    np.testing.assert_equal(read(model.heads["stars"].variables), head)
    after = [s[..., absent] for s in _by_task(model)]
    np.testing.assert_equal(after, before)
    assert np.all(np.isfinite(list(model.task_weights.values())))


def _by_task(model):
    """Returns the weighter's statistics of each task, not its results."""
    weighter = model.weighter
    return [
        value
        for variable, value in zip(
            weighter.variables, read(weighter.variables), strict=True
        )
        if variable is not weighter.task_weights
        and value.dtype.kind == "f"
        and value.shape[-1:] == (len(TASKS),)
    ]


def test_a_task_without_labels_in_an_epoch_has_a_nan_loss():
    x, y = make_data(ROWS)
    model = new_model("slaw")
    weights = [np.zeros(ROWS, "float32"), np.ones(ROWS, "float32")]
    batches = [(x, y, {"tone": weight}) for weight in weights]
    dataset = tf.data.Dataset.from_tensors(batches[0])
    dataset = dataset.concatenate(tf.data.Dataset.from_tensors(batches[1]))
    with pytest.warns(UserWarning, match=r"\['tone'\] had no label so far"):
        history = model.fit(dataset, epochs=2, steps_per_epoch=1, verbose=0)
    history = history.history
    assert np.isnan(history["tone_loss"][0])
    assert np.isfinite(history["tone_loss"][1])
    for key in ("loss", "stars_loss", "class_loss", "tone_weight"):
        assert np.all(np.isfinite(history[key])), key


def test_a_task_that_never_has_a_label_is_named():
    x, y = make_data(ROWS)
    weight = {"class": np.zeros(ROWS, "float32")}
    model = new_model("slaw")
    before = state(model, optimizer=False)
    with pytest.raises(ValueError, match="'class' has no label"):
        model.fit(x, y, sample_weight=weight, verbose=0)
    assert not differing(state(model, optimizer=False), before)
    dataset = tf.data.Dataset.from_tensors((x, y, weight))
    ended = keras.callbacks.LambdaCallback()
    ended.on_train_end = lambda logs: told.append("end")
    told = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_: told.append(str(message))
        history = model.fit(
            dataset, epochs=3, callbacks=[ended], verbose=0
        ).history
    assert len(history["loss"]) == 3
    message = (
        "The tasks ['class'] had no label {} in any step that was trained: "
        "their labels are missing, or their sample weights are all 0. Give "
        "them labels, or leave them out of the model."
    )
    assert told == [message.format("so far"), message.format("at all"), "end"]


@pytest.mark.parametrize("name", ["slaw", "mgda", "pcgrad", "meta_weighting"])
def test_layer_states_update_once_per_step(name):
    """By the support pass; the query pass is an evaluation."""
    model = new_model(name, model={"batch_norm": True, "dropout": 0.5})
    support, query = make_data(ROWS, 1), query_for(name)
    hidden = np.tanh(support[0] @ read(model.encoder.layers[1].variables)[0])
    seeds = [v for v in model.variables if "seed" in v.path]
    counts = [seed[1] for seed in read(seeds)]
    assert len(seeds) == 2

    model.train_on_batch(*support, query_data=query)

    norm = model.encoder.get_layer("norm")
    np.testing.assert_allclose(
        norm.moving_mean.numpy(), 0.01 * hidden.mean(axis=0), rtol=1e-4
    )
    np.testing.assert_allclose(
        norm.moving_variance.numpy(),
        0.99 + 0.01 * hidden.var(axis=0),
        rtol=1e-4,
    )
    assert [
        seed[1] - c for seed, c in zip(read(seeds), counts, strict=True)
    ] == [1, 1]


def test_the_query_pass_is_an_evaluation():
    """It comes last, without dropout."""
    model = new_model("meta_weighting", run_eagerly=True)
    step(model, 0)
    passes, call = [], model.call

    def spy(inputs, training=None, **kwargs):
        passes.append(training)
        return call(inputs, training=training, **kwargs)

    model.call = spy
    step(model, 1)
    assert passes == [True, False]
