import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_mtl.data import task_batches
from keras_mtl.data.shares import allot_rows

sizes_of_tasks = st.lists(st.integers(1, 40), min_size=1, max_size=4)


def numbered(sizes):
    """Tasks whose labels are the row numbers."""
    return {
        f"task_{k}": (np.arange(n)[:, None] * 0.5, np.arange(n))
        for k, n in enumerate(sizes)
    }


def labels_by_task(dataset):
    """Returns `{task: list of the label lists of the batches}`."""
    batches = [y for _, y, *_ in dataset]
    return {
        task: [batch[task].numpy().tolist() for batch in batches]
        for task in batches[0]
    }


def joined(lists):
    return [row for batch in lists for row in batch]


@settings(max_examples=15, deadline=None)
@given(sizes_of_tasks, st.integers(1, 16))
def test_once_gives_each_row_once_in_order(sizes, batch_size):
    dataset = task_batches(numbered(sizes), batch_size, sampling="once")
    steps = -(-max(sizes) // batch_size)
    assert int(dataset.cardinality()) == steps
    for size, batches in zip(
        sizes, labels_by_task(dataset).values(), strict=True
    ):
        assert len(batches) == steps
        assert joined(batches) == list(range(size))


@settings(max_examples=15, deadline=None)
@given(sizes_of_tasks, st.integers(1, 16))
def test_cycle_passes_once_through_the_longest_task(sizes, batch_size):
    dataset = task_batches(numbered(sizes), batch_size, seed=1)
    steps = -(-max(sizes) // batch_size)
    assert int(dataset.cardinality()) == steps
    for size, batches in zip(
        sizes, labels_by_task(dataset).values(), strict=True
    ):
        rows = joined(batches)
        assert len(batches) == steps
        # Shorter tasks go on where they were: full passes, then part of one.
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            assert len(set(part)) == len(part)
        if size == max(sizes):
            assert sorted(rows) == list(range(size))


@settings(max_examples=15, deadline=None)
@given(sizes_of_tasks, st.integers(1, 8), st.floats(0.0, 1.0))
def test_proportional_batches_keep_the_ratio(sizes, batch_size, alpha):
    dataset = task_batches(
        numbered(sizes), batch_size, "proportional", alpha, steps_per_epoch=3
    )
    rows = allot_rows(sizes, batch_size * len(sizes), alpha)
    assert int(dataset.cardinality()) == 3
    for count, batches in zip(
        rows, labels_by_task(dataset).values(), strict=True
    ):
        assert [len(batch) for batch in batches] == [count] * 3


def test_proportional_passes_once_through_the_slowest_task():
    data = numbered([90, 10])
    batches = labels_by_task(task_batches(data, 5, "proportional", alpha=1.0))
    assert sorted(joined(batches["task_0"])) == list(range(90))
    assert [len(batch) for batch in batches["task_1"]] == [1] * 10


def test_shortest_ends_with_the_shortest_task():
    data = numbered([10, 7])
    batches = labels_by_task(task_batches(data, 4, "shortest"))
    assert [len(batch) for batch in batches["task_0"]] == [4, 4]
    assert sorted(joined(batches["task_1"])) == list(range(7))
    short = task_batches(data, 4, "shortest", drop_remainder=True)
    assert int(short.cardinality()) == len(list(short)) == 1


def test_dropped_remainders_give_batches_of_one_shape():
    dataset = task_batches(numbered([10, 3]), 4, drop_remainder=True)
    assert dataset.element_spec[1]["task_1"].shape == (4,)
    assert int(dataset.cardinality()) == len(list(dataset)) == 2


def test_epochs_differ_and_a_seed_repeats_them():
    first = task_batches(numbered([30, 7]), 4, seed=5)
    again = task_batches(numbered([30, 7]), 4, seed=5)
    epochs = [labels_by_task(first) for _ in range(2)]
    assert epochs == [labels_by_task(again) for _ in range(2)]
    assert epochs[0] != epochs[1]
    other = task_batches(numbered([30, 7]), 4, seed=6)
    assert labels_by_task(other) != epochs[0]


def test_tasks_of_one_size_are_shuffled_apart():
    batches = labels_by_task(task_batches(numbered([30, 30]), 30, seed=0))
    assert batches["task_0"] != batches["task_1"]


def test_unshuffled_rows_keep_inputs_labels_and_weights_together():
    rows = np.arange(6)
    data = {
        "z": (
            {"text": [f"n{row}" for row in rows], "pair": (rows, rows * 2.0)},
            rows,
            rows / 8,
        ),
        "a": tf.data.Dataset.range(3).map(lambda i: (i, i)),
    }
    dataset = task_batches(data, 3, shuffle=False)
    x, y, weight = list(dataset)[1]
    assert list(y) == ["z", "a"]
    assert x["z"]["text"].numpy().tolist() == [b"n3", b"n4", b"n5"]
    np.testing.assert_array_equal(x["z"]["pair"][1], [6.0, 8.0, 10.0])
    np.testing.assert_array_equal(weight["z"], [0.375, 0.5, 0.625])
    np.testing.assert_array_equal(y["a"], [0, 1, 2])
    np.testing.assert_array_equal(weight["a"], [1.0, 1.0, 1.0])
    assert x["z"]["pair"][1].dtype == weight["z"].dtype == "float32"


def test_once_fills_up_data_sets_with_empty_batches():
    data = {
        "a": tf.data.Dataset.range(5).map(lambda i: (tf.ones((2, 3)), i)),
        "b": tf.data.Dataset.from_tensor_slices((["t"], [1])),
    }
    x, y = list(task_batches(data, 2, sampling="once"))[-1]
    assert x["a"].shape == (1, 2, 3)
    assert x["b"].shape == y["b"].shape == (0,)
    assert x["b"].dtype == tf.string


def test_keras_fits_on_the_batches():
    inputs = {name: keras.Input((1,), name=name) for name in ("a", "b")}
    outputs = {
        name: keras.layers.Dense(1, name=f"{name}_head")(value)
        for name, value in inputs.items()
    }
    model = keras.Model(inputs, outputs)
    model.compile("sgd", loss={"a": "mse", "b": "mse"})
    data = {
        "a": (np.ones((8, 1)), np.ones(8)),
        "b": (np.ones((5, 1)), np.ones(5)),
    }
    dataset = task_batches(data, 4, drop_remainder=True)
    # Keras warns of shuffle=True, its default, for any tf.data.Dataset.
    history = model.fit(dataset, epochs=2, shuffle=False, verbose=0)
    assert len(history.history["loss"]) == 2
    assert model.optimizer.iterations == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"sampling": "cicle"},
            "Argument `sampling` must be one of ['cycle', 'proportional', "
            "'shortest', 'once']. Received: sampling='cicle'. Did you mean "
            "'cycle'?",
        ),
        (
            {"alpha": 0.5},
            "Argument `alpha` is only used by sampling='proportional'. "
            "Received: alpha=0.5, sampling='cycle'",
        ),
        (
            {"sampling": "once", "steps_per_epoch": 2},
            "sampling='once' gives every row exactly once, so it takes neither "
            "`steps_per_epoch` nor `drop_remainder`. Received: "
            "steps_per_epoch=2, drop_remainder=False",
        ),
        (
            {"sampling": "shortest", "steps_per_epoch": 9},
            "The shortest task has fewer batches than `steps_per_epoch`. "
            "Received: steps_per_epoch=9; its batches: 1. Pass fewer steps, "
            "or sampling='cycle'.",
        ),
        (
            {"drop_remainder": True},
            "No batch is left: `drop_remainder=True` drops the only one. "
            "Numbers of rows: {'task_0': 3, 'task_1': 2}. Lower `batch_size`, "
            "or pass `steps_per_epoch` to sampling='cycle'.",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError) as error:
        task_batches(numbered([3, 2]), 4, **options)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "Argument `data` must be a dict"),
        ({"a": np.ones(3)}, r"Task 'a': the data must be a tuple \(x, y\)"),
        ({"a": (np.ones(3), np.ones(2))}, r"Received numbers of rows: \[2, 3"),
        ({"a": (np.ones(0), np.ones(0))}, r"Received numbers of rows: \[0\]"),
        (
            {
                "a": tf.data.Dataset.range(9)
                .map(lambda i: (i, i))
                .filter(lambda i, j: i > 1)
            },
            "must be known and at least 1. Received: unknown",
        ),
    ],
)
def test_data_that_do_not_fit_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        task_batches(data, 4)
