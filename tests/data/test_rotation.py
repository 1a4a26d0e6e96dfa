"""Query rows that change from epoch to epoch."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_mtl import MultiTaskModel, weighters
from keras_mtl.callbacks import BackupAndRestore
from keras_mtl.data import SupportQuery
from keras_mtl.data.rotation import Rotation, num_folds, rotations
from keras_mtl.lab.runs.batches import epoch_batches
from keras_mtl.layers import StackedHeads
from tests.callbacks.test_backup_and_restore import Stop
from tests.training import (
    TASKS,
    differing,
    make_data,
    new_model,
    separate,
    state,
)


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=60),
    st.integers(2, 10),
    st.integers(0, 2**31),
)
def test_folds_are_disjoint_whole_and_have_all_classes(classes, folds, seed):
    rotation = Rotation.of_classes(classes, folds, seed)
    epochs = [rotation.epoch(number) for number in range(folds)]
    everything = np.arange(len(classes))
    query = np.concatenate([epoch.query for epoch in epochs])
    np.testing.assert_array_equal(np.sort(query), everything)
    for support, query in epochs:
        both = np.sort(np.concatenate([support, query]))
        np.testing.assert_array_equal(both, everything)
        assert len(support) <= rotation.most_support
        for name in range(4):
            expected = np.sum(np.equal(classes, name)) / folds
            found = np.sum(np.take(classes, query) == name)
            assert abs(found - expected) < 1.0
        assert abs(len(query) - len(classes) / folds) < 1.0
    again = rotation.epoch(folds)
    np.testing.assert_array_equal(again.query, epochs[0].query)


def test_a_row_trains_in_all_epochs_but_one():
    rotation = Rotation.of_classes(np.zeros(30), 10, 0)
    trained = [rotation.epoch(number).support for number in range(10)]
    counts = np.bincount(np.concatenate(trained), minlength=30)
    np.testing.assert_array_equal(counts, 9)


def test_rows_of_an_epoch_are_whole_passes():
    rotation = Rotation.of_classes(np.zeros(12), 4, 0)
    rows = rotation.rows(2, 20, 7, [5])
    support, query = rotation.epoch(2)
    np.testing.assert_array_equal(np.sort(rows.support[:9]), support)
    np.testing.assert_array_equal(np.sort(rows.support[9:18]), support)
    np.testing.assert_array_equal(np.sort(rows.query[3:6]), query)
    for mine, theirs in zip(rows, rotation.rows(2, 20, 7, [5]), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert np.any(rotation.rows(2, 20, 7, [6]).support != rows.support)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.15])
def test_shares_that_do_not_make_a_whole(share):
    with pytest.raises(ValueError, match="one part of a whole number of equal"):
        num_folds(share)
    assert [num_folds(s) for s in (0.5, 1 / 3, 0.1)] == [2, 3, 10]


def test_too_few_rows():
    y = {"a": np.zeros(30, int), "b": np.zeros(30)}
    weight = {"b": np.arange(30) < 7}
    with pytest.raises(ValueError) as error:
        rotations(y, weight, 0.1, 0, separate=False)
    assert str(error.value) == (
        "Task 'b' has too few labelled rows for a query set in each epoch. "
        "Received: 7 of them, and query_split=0.1 in rotation, which takes at "
        "least 10. Pass a larger query_split."
    )


def test_batches_of_experiments():
    """Every epoch holds out a fold; what is left after a kill is the same."""
    x = {"a": np.arange(20.0), "b": np.arange(100.0, 112.0)}
    y = {task: rows.astype("int32") % 2 for task, rows in x.items()}
    rotating = rotations(y, None, 0.25, 0, separate=True)
    data = SupportQuery((x, y), None)

    def batches(first):
        return [
            *epoch_batches(
                data, 4, first, 6, 3, True, rotating=rotating
            ).as_numpy_iterator()
        ]

    whole = batches(0)
    assert len(whole) == 6 * 4  # 15 support rows, 4 a batch.
    for epoch in range(6):
        own = whole[4 * epoch : 4 * epoch + 4]
        for task in x:
            for side, name in enumerate(("support", "query")):
                seen = np.concatenate([batch[side][0][task] for batch in own])
                fold = getattr(rotating[task].epoch(epoch), name)
                np.testing.assert_array_equal(np.unique(seen), x[task][fold])
    tf.nest.map_structure(np.testing.assert_array_equal, batches(4), whole[16:])


class Rows(weighters.Weighter):
    """Writes down the first losses of support and query batches."""

    def __init__(self, seen):
        super().__init__()
        self._write = lambda side, losses: seen[side].append(losses.numpy())

    def call(self, losses):
        tf.py_function(self._note("support"), [losses], [])
        return tf.ones_like(losses)

    def observe(self, query_losses):
        tf.py_function(self._note("query"), [query_losses], [])
        return tf.ones_like(query_losses)

    def _note(self, side):
        return functools.partial(self._write, side)


def model_of_labels(kind, seen):
    """A model at 0 whose loss is the squared label: it tells the row."""
    encoder = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    if kind in ("stacked", "ids"):
        heads = StackedHeads(["a", "b"], 1, name="heads")
    else:
        heads = {t: keras.layers.Dense(1, name=f"head_{t}") for t in "ab"}
    model = MultiTaskModel(encoder, heads)
    sgd = keras.optimizers.SGD(0.0)
    model.compile(sgd, "mse", weighter=Rows(seen), jit_compile=False)
    return model


@pytest.mark.parametrize("kind", ["shared", "separate", "stacked", "ids"])
def test_rows_that_fit_holds_out(kind):
    """One row a batch: in each epoch a tenth, and all of them in ten."""
    rows, seen = 20, {"support": [], "query": []}
    model = model_of_labels(kind, seen)
    x, numbers = np.zeros((rows, 2), "float32"), np.arange(1.0, rows + 1)
    y = {t: numbers.astype("float32") for t in "ab"}
    if kind == "separate":
        x = {"a": x, "b": x}
    elif kind == "stacked":
        y = np.stack([numbers, numbers], axis=1)
    elif kind == "ids":
        task = np.arange(rows) % 2
        x, y = {"inputs": x, "task": task}, numbers.astype("float32")
    history = model.fit(
        x,
        y,
        query_split=0.1,
        query_rotation=True,
        batch_size=1,
        query_batch_size=1,
        epochs=11,
        verbose=0,
    ).history
    assert history["query_fold"] == [*range(10), 0]
    steps = len(seen["support"]) // 11
    assert steps == 18
    read = {
        side: np.sqrt(losses).reshape(11, steps, 2).round().astype(int)
        for side, losses in seen.items()
    }
    for k in range(2):
        expected = set(range(1, rows + 1))
        if kind == "ids":
            expected = {n for n in expected if (n - 1) % 2 == k}
        held_out = [set(of) - {0} for of in read["query"][..., k].tolist()]
        trained = [set(of) - {0} for of in read["support"][..., k].tolist()]
        for query, support in zip(held_out, trained, strict=True):
            assert query
            assert not query & support
            assert query | support == expected
        assert held_out[10] == held_out[0]
        assert set().union(*held_out[:10]) == expected
        assert sum(map(len, held_out[:10])) == len(expected)
        assert set().union(*trained[:2]) == expected


@pytest.mark.parametrize("kind", ["shared", "separate"])
def test_a_resumed_run_is_an_uninterrupted_one(kind, tmp_path):
    data = make_data(20)
    x, y = separate(data) if kind == "separate" else data
    fit = {
        **{"x": x, "y": y, "batch_size": 8, "verbose": 0, "epochs": 4},
        **{"query_split": 0.25, "query_rotation": True},
        "sample_weight": {"stars": np.linspace(0.5, 1.5, 20)},
    }

    def run(*callbacks):
        model = new_model("meta_weighting", model={"dropout": 0.3})
        keras.utils.set_random_seed(7)  # Which orders the rows.
        return model, model.fit(**fit, callbacks=[*callbacks])

    expected, history = run()
    assert history.history["query_fold"] == [0, 1, 2, 3]
    assert history.history["stars_loss"][0] > 0.0
    backup = BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        run(backup, Stop(2))
    received, history = run(backup)
    assert history.history["query_fold"] == [2, 3]
    assert not differing(state(received), state(expected))
    assert set(expected.task_weights) == set(TASKS)
    # A later call goes on with the fold that is next.
    history = received.fit(**{**fit, "epochs": 1, "steps_per_epoch": 5})
    assert history.history["query_fold"] == [0]


def test_arguments_that_do_not_fit():
    model = new_model("meta_weighting")
    x, y = make_data(20)
    with pytest.raises(ValueError, match="rotates the rows that query_split"):
        model.fit(x, y, query_data=(x, y), query_rotation=True)
    rows = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    with pytest.raises(ValueError, match="query_split splits arrays"):
        model.fit(rows, query_split=0.1, query_rotation=True)
    with pytest.raises(ValueError, match="one part of a whole number"):
        model.fit(x, y, query_split=0.3, query_rotation=True)
    with pytest.warns(UserWarning, match="does not use query data"):
        model.fit(x, y, weighter="slaw", query_rotation=True, verbose=0)
