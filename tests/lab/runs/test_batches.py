import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.data import SupportQuery
from keras_mtl.lab.runs.batches import (
    epoch_batches,
    shuffled_rows,
    steps_per_epoch,
)

X = {"a": np.arange(10.0), "b": np.arange(100.0, 106.0)}
SEPARATE = (X, {task: x + 0.5 for task, x in X.items()}, None)
SHARED = (np.arange(10.0), {"a": np.arange(10), "b": np.arange(10)})


def test_stream_is_made_of_whole_passes():
    stream = shuffled_rows(7, 0, 21, [0])
    for part in stream.reshape(3, 7):
        np.testing.assert_array_equal(np.sort(part), np.arange(7))
    assert (stream[:7] != stream[7:14]).any()


@pytest.mark.parametrize("first", [0, 3, 7, 20])
def test_any_stretch_of_the_stream_is_the_same(first):
    stream = shuffled_rows(7, 0, 40, [5, 1])
    part = shuffled_rows(7, first, 15, [5, 1])
    np.testing.assert_array_equal(part, stream[first : first + 15])
    assert (shuffled_rows(7, first, 15, [5, 2]) != part).any()


def test_separate_inputs_and_query():
    data = SupportQuery(SEPARATE, SEPARATE)
    batches = list(epoch_batches(data, 4, 0, 2, seed=0, separate=True))
    assert steps_per_epoch(SEPARATE, 4, separate=True) == 3
    assert len(batches) == 6
    for batch in batches:
        assert isinstance(batch, SupportQuery)
        for x, y in batch:
            for task in ("a", "b"):
                assert x[task].shape == (4,)
                assert np.isin(x[task], X[task]).all()
                np.testing.assert_array_equal(y[task], x[task] + 0.5)
    seen = np.concatenate([batch.query[0]["b"] for batch in batches])
    # Six rows a pass: the query goes on from one epoch to the next.
    for part in seen.reshape(4, 6):
        np.testing.assert_array_equal(np.sort(part), X["b"])


@pytest.mark.parametrize("first", [1, 2])
def test_going_on_gives_the_batches_that_were_left(first):
    data = SupportQuery(SHARED, None)
    whole = list(epoch_batches(data, 4, 0, 3, seed=1, separate=False))
    rest = list(epoch_batches(data, 4, first, 3, seed=1, separate=False))
    assert len(rest) == (3 - first) * 3
    for mine, theirs in zip(rest, whole[first * 3 :], strict=True):
        tf.nest.map_structure(np.testing.assert_array_equal, mine, theirs)
    np.testing.assert_array_equal(whole[0][0], whole[0][1]["b"])


@pytest.mark.parametrize("separate", [False, True])
def test_weights_go_with_their_rows(separate):
    x, y, _ = SEPARATE if separate else (*SHARED, None)
    # Of one task, and with an axis more than labels.
    data = (x, y, {"b": np.stack([y["b"], 2 * y["b"]], axis=1)})
    query = data if separate else None
    for batch in epoch_batches(SupportQuery(data, query), 4, 0, 1, 0, separate):
        for _, labels, weights in batch if separate else [batch]:
            assert set(weights) == {"b"}
            expected = np.stack([labels["b"], 2 * labels["b"]], axis=1)
            np.testing.assert_array_equal(weights["b"], expected)


def test_augmentation_is_a_function_of_the_step():
    def noisy(batch, seed):
        x, y = batch
        noise = tf.random.stateless_uniform([4], seed, dtype=tf.float64)
        return x + noise, y

    def noise(seed, first=0, augment=noisy):
        data = SupportQuery(SHARED, SHARED)
        batches = list(epoch_batches(data, 4, first, 3, seed, False, augment))
        for _, (x, y) in batches:  # Query rows stay as they are.
            np.testing.assert_array_equal(x, y["a"])
        return np.stack([x.numpy() - y["a"].numpy() for (x, y), _ in batches])

    drawn = noise(1)
    assert len(np.unique(drawn.round(9))) == 9 * 4
    np.testing.assert_array_equal(drawn[3:], noise(1, first=1))
    assert (drawn != noise(2)).all()
