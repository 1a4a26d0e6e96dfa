import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from keras_mtl.data import (
    SupportQuery,
    support_query_split,
    zip_support_query,
)

class_sizes = st.lists(st.integers(1, 30), min_size=1, max_size=5)
fractions = st.floats(0.02, 0.9)


def labels_of(sizes):
    return np.repeat(np.arange(len(sizes)), sizes)


@settings(max_examples=60)
@given(
    class_sizes,
    fractions,
    st.integers(0, 5),
    st.sampled_from(["int32", "uint8", "str"]),
)
# The row that a class of one may not give goes to no whole quota.
@example(sizes=[1, 4], fraction=0.5, seed=0, dtype="int32")
def test_each_class_keeps_its_share(sizes, fraction, seed, dtype):
    labels = labels_of(sizes).astype(dtype)
    rows = np.arange(len(labels))
    num_query = math.floor(len(labels) * fraction + 0.5)
    assume(num_query >= 1 and max(sizes) >= 2)
    (x_s, y_s, w_s), (x_q, y_q, w_q) = support_query_split(
        {"a": rows}, {"a": labels}, query_split=fraction, seed=seed
    )
    np.testing.assert_array_equal(np.sort([*x_s["a"], *x_q["a"]]), rows)
    np.testing.assert_array_equal(y_s["a"], labels[x_s["a"]])
    np.testing.assert_array_equal(y_q["a"], labels[x_q["a"]])
    assert w_s is None
    assert w_q is None
    # Quotas are rounded, so that 0.1 * 30 is whole.
    quotas = np.round(np.multiply(sizes, fraction), 9)
    most = np.minimum(np.ceil(quotas), np.subtract(sizes, 1))
    assert len(x_q["a"]) == min(num_query, most.sum())
    for label, size in enumerate(sizes):
        count = (y_q["a"].astype(int) == label).sum()
        assert abs(count - fraction * size) < 1.0
        assert count < size


@given(st.integers(2, 200), fractions)
def test_float_labels_are_split_at_random(num_rows, fraction):
    num_query = min(math.floor(num_rows * fraction + 0.5), num_rows - 1)
    assume(num_query >= 1)
    y = {"a": np.linspace(0.0, 1.0, num_rows)}
    _, query = support_query_split(y, y, query_split=fraction)
    assert len(query[1]["a"]) == num_query


def test_the_seed_decides_and_other_tasks_do_not():
    y = {"a": labels_of([20, 30]), "b": np.arange(40.0)}

    def query(tasks, seed):
        part = {task: y[task] for task in tasks}
        rows = {task: np.arange(len(y[task])) for task in tasks}
        return support_query_split(rows, part, seed=seed).query[0]

    np.testing.assert_array_equal(query("ab", 3)["a"], query("ba", 3)["a"])
    np.testing.assert_array_equal(query("ab", 3)["a"], query("a", 3)["a"])
    assert query("ab", 3)["a"].tolist() != query("ab", 4)["a"].tolist()


def test_shared_inputs_may_be_nested_and_are_split_once():
    rows = np.arange(60)
    y = {"a": rows % 2, "b": rows % 3, "c": rows * 1.0}
    x = {"text": [str(row) for row in rows], "more": (rows, rows[:, None])}
    weight = {"b": rows + 1.0}
    split = support_query_split(x, y, weight, query_split=0.2)
    for x_part, y_part, weight_part in split:
        kept = x_part["more"][0]
        np.testing.assert_array_equal(x_part["text"], kept.astype(str))
        np.testing.assert_array_equal(x_part["more"][1][:, 0], kept)
        np.testing.assert_array_equal(y_part["c"], kept)
        np.testing.assert_array_equal(weight_part["b"], kept + 1.0)
    # Each of the six combinations of classes has ten rows.
    query = split.query[1]
    assert np.bincount(query["a"] * 3 + query["b"]).tolist() == [2] * 6


@settings(max_examples=20)
@given(st.integers(2, 30), st.integers(0, 3))
def test_many_tasks_on_shared_inputs_nearly_keep_their_shares(num_tasks, seed):
    rng = np.random.default_rng(seed)
    rates = rng.uniform(0.03, 0.5, num_tasks)
    table = (rng.random((400, num_tasks)) < rates).astype(int)
    y = {f"task_{k}": table[:, k] for k in range(num_tasks)}
    query = support_query_split(np.zeros(400), y, seed=seed).query[1]
    assert abs(len(query["task_0"]) - 40) <= 5
    for task, labels in y.items():
        assert abs(query[task].sum() - 0.1 * labels.sum()) <= 3.5


@pytest.mark.parametrize("missing", ["nan", "weight"])
def test_sparse_labels_of_shared_inputs_reach_both_sets(missing):
    present = np.arange(500) < 20
    y = {"a": np.arange(500) % 2, "b": np.where(present, 1.0, 0.0)}
    weight = {"b": present.astype("float32")}
    if missing == "nan":
        y["b"], weight = np.where(present, 1.0, np.nan), None
    query = support_query_split(np.arange(500), y, weight).query
    assert present[query[0]].sum() == 2


def test_fraction_out_of_range_is_refused():
    with pytest.raises(ValueError) as error:
        support_query_split(np.zeros(3), {"a": np.zeros(3)}, query_split=1.0)
    assert str(error.value) == (
        "Argument `query_split` must lie between 0 and 1, both excluded. "
        "Received: query_split=1.0"
    )


def test_task_without_query_row_is_named_with_the_least_fraction():
    y = {"big": labels_of([50, 50]), "small": labels_of([3, 2])}
    with pytest.raises(ValueError) as error:
        support_query_split(y, y, query_split=0.05)
    assert str(error.value) == (
        "Task 'small' is left with no query example. Received: "
        "query_split=0.05, which splits its 5 labelled examples into 5 for "
        "support and 0 for query. Pass query_split=0.1 or more."
    )
    query = support_query_split(y, y, query_split=0.1).query
    assert len(query[1]["small"]) == 1


def test_task_that_no_fraction_helps_is_refused():
    y = {"a": np.arange(4)}
    with pytest.raises(ValueError, match="at least two of a class"):
        support_query_split(y, y, query_split=0.5)


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError) as error:
        support_query_split(np.zeros(3), {"a": np.zeros(2)})
    assert str(error.value) == (
        "Task 'a': inputs, labels and weights must have the same number of "
        "rows. Received: inputs [3], labels [2]"
    )


def test_unknown_weights_and_bare_labels_are_refused():
    with pytest.raises(ValueError, match="unknown task 'b'"):
        support_query_split(np.ones(2), {"a": np.ones(2)}, {"b": np.ones(2)})
    with pytest.raises(ValueError, match="must be a dict"):
        support_query_split(np.ones(2), np.ones(2))


def test_zipped_data_sets_are_as_long_as_the_support():
    support = tf.data.Dataset.range(7).batch(2)
    query = tf.data.Dataset.range(3).batch(2)
    dataset = zip_support_query(support, query)
    elements = list(dataset)
    assert int(dataset.cardinality()) == len(elements) == 4
    assert all(isinstance(element, SupportQuery) for element in elements)
    rows = [element.query.numpy().tolist() for element in elements]
    assert rows == [[0, 1], [2], [0, 1], [2]]


def test_empty_query_set_is_refused():
    query = tf.data.Dataset.range(3).batch(4, drop_remainder=True)
    with pytest.raises(ValueError, match="must hold at least one batch"):
        zip_support_query(tf.data.Dataset.range(3), query)
