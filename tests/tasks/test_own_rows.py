"""Rows of one task each: stacked heads do what named ones do."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import weighters
from keras_mtl.layers import StackedHeads
from keras_mtl.tasks.own_rows import sum_by_task
from tests.tasks.stacked_twins import (
    NAMES,
    compiled,
    head_weights,
    make_data,
    named_twin,
    stacked_model,
)
from tests.training import read

ABSENT = 2  # No row of a first batch belongs to this task.


def rows(number=26, units=1, seed=1, absent=ABSENT):
    """Returns inputs with tasks, labels and weights of rows of one task."""
    x, y, weight = make_data(number, units, seed=seed)
    ids = np.random.default_rng(seed).integers(0, len(NAMES), number)
    ids[ids == absent] = 0
    return {"inputs": x, "task": ids}, y[:, 0], weight[:, 0]


def by_task(data):
    """Returns the same rows as separate inputs of named heads."""
    x, y, weight = data
    return tuple(
        {task: a[x["task"] == k] for k, task in enumerate(NAMES)}
        for a in (x["inputs"], y, weight)
    )


@pytest.mark.parametrize(
    ("name", "units"),
    [
        *(("slaw", 3), ("uncertainty", 1), ("mgda", 3), ("pcgrad", 1)),
        *(("gradnorm", 1), ("meta_weighting", 3)),
    ],
)
def test_trains_as_named_heads_do(name, units):
    """With missing labels, weights, metrics, and a task without a row."""
    first, second = name, name
    if name == "pcgrad":  # It would draw two seeds.
        first, second = (weighters.PCGrad(shuffle=False) for _ in range(2))
    model = stacked_model(units)
    twin = named_twin(model)
    fixed = {"loss_weights": {"age": 0.5, "stars": 2.0}}
    compiled(model, first, units, **fixed)
    compiled(twin, second, units, **fixed)
    data, mine, other = rows(units=units), {}, {}
    if name == "meta_weighting":
        query = rows(units=units, seed=3, absent=None)
        mine, other = {"query_data": query}, {"query_data": by_task(query)}
    for absent in (ABSENT, None, ABSENT):
        data = rows(units=units, seed=7, absent=absent)
        received = model.train_on_batch(*data, return_dict=True, **mine)
        expected = twin.train_on_batch(
            *by_task(data), return_dict=True, **other
        )
        assert sorted(received) == sorted(expected)
        for log, value in expected.items():
            np.testing.assert_allclose(
                received[log], value, rtol=1e-3, atol=1e-4, err_msg=log
            )
    pairs = zip(
        [*read(model.encoder.variables), *sum(head_weights(model), ())],
        [*read(twin.encoder.variables), *sum(head_weights(twin), ())],
        strict=True,
    )
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-4)


def test_fit_evaluate_and_predict(tmp_path):
    """By ids or names, from arrays and data sets; predictions by head."""
    model = compiled(stacked_model(3), "slaw", 3)
    x, y, weight = rows(units=3, absent=None, number=40)
    names = np.array(NAMES)[x["task"]]
    fit = {"verbose": 0, "batch_size": 16, "shuffle": False}
    model.fit(
        x["inputs"],
        y,
        **{**fit, "sample_weight": weight, "task": names},
        validation_data=(x, y, weight),
    )
    history = model.history.history
    logs = model.evaluate(
        x["inputs"],
        y,
        sample_weight=weight,
        task=x["task"],
        return_dict=True,
        verbose=0,
    )
    for name, value in logs.items():
        np.testing.assert_allclose(history[f"val_{name}"][0], value, rtol=1e-5)
    assert {f"{task}_accuracy" for task in NAMES} <= set(logs)
    whole = model.predict(x["inputs"], verbose=0)
    own = whole[np.arange(40), x["task"]]
    for given in ({"x": x}, {"x": x["inputs"], "task": names}):
        received = model.predict(**given, verbose=0)
        np.testing.assert_allclose(received, own, rtol=1e-5, atol=1e-6)
    dataset = tf.data.Dataset.from_tensor_slices((x, y, weight)).batch(16)
    again = model.evaluate(dataset, return_dict=True, verbose=0)
    for name, value in logs.items():
        np.testing.assert_allclose(again[name], value, rtol=1e-5)
    model.export(tmp_path / "served", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "served")
    served = loaded.serve(x["inputs"])
    for k, task in enumerate(NAMES):
        np.testing.assert_allclose(served[task], whole[:, k], rtol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), own, rtol=1e-5)


def test_class_weights_and_a_task_without_a_row():
    """The weighted loss of each row by NumPy; the task is named once."""
    model = compiled(stacked_model(), metrics=None, weighted_metrics=None)
    x, y, weight = rows()
    class_weight = {"tone": {0: 3.0}, "stars": {1: 0.5, 0: 2.0}}
    factors = [{0: 3.0}, {}, {}, {1: 0.5, 0: 2.0}]
    given = [
        w * factors[k].get(int(label), 1.0)
        for w, k, label in zip(weight, x["task"], y, strict=True)
    ]
    p = model.predict(x, verbose=0)[:, 0]
    losses = -np.log(np.where(y == 1.0, p, 1.0 - p)) * given
    received = [
        model.train_on_batch(
            x, y, weight, class_weight=class_weight, return_dict=True
        )
    ]
    model = compiled(stacked_model(), metrics=None, weighted_metrics=None)
    with pytest.warns(UserWarning, match=r"tasks \['class'\] have no labels"):
        model.fit(x, y, sample_weight=weight, verbose=0, epochs=2)
    data = tf.data.Dataset.from_tensors((x, y, weight))
    model = compiled(stacked_model(), metrics=None, weighted_metrics=None)
    with pytest.warns(UserWarning, match=r"tasks \['class'\] had no label"):
        history = model.fit(data, verbose=0, class_weight=class_weight).history
    received.append({name: of for name, (of,) in history.items()})
    for logs in received:
        for k, task in enumerate(NAMES):
            own = (x["task"] == k) & (weight > 0)
            if own.any():
                expected = losses[own].sum() / own.sum()
                assert logs[f"{task}_loss"] == pytest.approx(expected, rel=1e-4)


def test_splits_hold_each_tasks_share():
    """Of 12 and 8 rows of each class: a quarter of each task and class."""
    model = compiled(stacked_model(), "meta_weighting")
    ids = np.repeat(np.arange(4), 20)
    y = np.tile(np.repeat([0.0, 1.0], [12, 8]), 4).astype("int32")
    x = np.arange(80, dtype="float32")[:, None]
    data = ({"inputs": x, "task": ids}, y, None)
    sides = model.arrangement.split(*data, 0.25)
    for (inputs, labels, _), counts in zip(
        sides, [(9, 6), (3, 2)], strict=True
    ):
        for task in range(4):
            mine = labels[inputs["task"] == task]
            assert tuple(np.bincount(mine)) == counts
    support, query = (side[0]["inputs"] for side in sides)
    assert set(support[:, 0]) | set(query[:, 0]) == set(range(80))
    kept, held = model.arrangement.split_end(*data, 0.1)
    expected = [task * 20 + last for task in range(4) for last in (18, 19)]
    assert held[0]["inputs"][:, 0].tolist() == expected
    assert len(kept[0]["inputs"]) == 72


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.full(26, 4), "Row 0 belongs to the task 4, which does not exist"),
        (np.full(26, -1), "Row 0 belongs to the task -1"),
        (np.zeros(26), "must be integers.*Received: float64.*task_ids"),
        (np.zeros(25, int), r"one task for each row.*\(26,\).*\(25,\)"),
        (np.array(["tone"] * 25 + ["agee"]), "unknown task 'agee'.*'age'"),
        (None, r"Labels of stacked heads.*task=ids"),
    ],
)
def test_bad_tasks_end_before_training(ids, message):
    model = compiled(stacked_model())
    x, y, _ = rows()
    with pytest.raises(ValueError, match=message):
        model.fit(x["inputs"], y, task=ids, verbose=0)
    assert int(model.optimizer.iterations) == 0


def test_other_bad_input():
    model = compiled(stacked_model())
    x, y, weight = rows()
    dataset = tf.data.Dataset.from_tensor_slices((x["inputs"], y)).batch(4)
    for arguments, message in (
        (({**x, "task": x["task"] * 1.0}, y), "must be integers"),
        ((x, np.stack([y, y], 1)), r"\(B,\) or \(B, 1\).*\(.*2\)"),
        ((x, y, np.stack([weight, weight], 1)), r"must be one array \(B,\)"),
    ):
        with pytest.raises(ValueError, match=message):
            model.train_on_batch(*arguments)
    for arguments in ((x, y), (dataset,)):
        with pytest.raises(ValueError, match="gives each row of arrays"):
            model.fit(*arguments, task=x["task"], verbose=0)
    twin = compiled(named_twin(model))
    with pytest.raises(ValueError, match="has a dict of heads"):
        twin.fit(x["inputs"], {}, task=x["task"], verbose=0)
    text = {**x, "task": np.array(NAMES)[x["task"]]}
    dataset = tf.data.Dataset.from_tensor_slices((text, y)).batch(4)
    with pytest.raises(ValueError, match=r"Received: string.*task_ids"):
        model.fit(dataset, verbose=0)


def test_a_row_of_no_task_skips_the_step_under_xla():
    """XLA reads the last head instead; the sum says NaN."""
    model = compiled(stacked_model(), jit_compile=True)
    x, y, _ = rows()
    x["task"][3] = 9
    before = read(model.trainable_variables)
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(26)
    with pytest.warns(UserWarning, match="1 steps of epoch 1 were skipped"):
        logs = model.fit(dataset, verbose=0).history
    assert logs["skipped_steps"] == [1.0]
    for a, b in zip(before, read(model.trainable_variables), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("outside", [-1, 3])
def test_a_row_of_no_task_makes_a_sum_nan(outside):
    tasks = tf.constant([0, outside, 1])
    sums = sum_by_task(tf.ones(3), tasks, 3).numpy()
    assert np.isnan(sums).sum() == 1
    assert sums[1] == 1.0


def test_task_ids():
    heads = StackedHeads(["b", "a"])
    ids = heads.task_ids([["a", "b"], ["a", "a"]])
    np.testing.assert_array_equal(ids, [[1, 0], [1, 1]])
