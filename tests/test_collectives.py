"""Sums over replicas do not grow with the number of tasks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.gradients.packing import sum_of_columns

# Totals of the losses, whether gradients are finite, the update, and what the
# weighter reads; of the query batch, its totals go with the gradients.
SUMS = {"uniform": 3, "mgda": 4, "gradnorm": 4, "pcgrad": 4}
SUMS |= {"meta_weighting": 4}


def model_of(num_tasks, weighter):
    inputs = keras.Input((6,), dtype="int32")
    hidden = keras.layers.Embedding(9, 4)(inputs)
    hidden = keras.layers.GlobalAveragePooling1D()(hidden)
    hidden = keras.layers.Dense(3, "tanh")(hidden)
    heads = {f"task_{k}": keras.layers.Dense(1) for k in range(num_tasks)}
    model = MultiTaskModel(keras.Model(inputs, hidden), heads)
    model.compile("sgd", loss="mse", weighter=weighter, jit_compile=False)
    return model


@pytest.mark.parametrize("weighter", SUMS)
def test_as_many_sums_for_five_tasks_as_for_two(
    strategy, weighter, monkeypatch
):
    """Counted where the step is traced; it takes them in every step."""
    counts = []
    all_reduce = tf.distribute.ReplicaContext.all_reduce

    def counting(self, *args, **kwargs):
        counts[-1] += 1
        return all_reduce(self, *args, **kwargs)

    monkeypatch.setattr(tf.distribute.ReplicaContext, "all_reduce", counting)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 9, (4, 6))
    for num_tasks in (2, 5):
        y = {f"task_{k}": rng.normal(size=(4, 1)) for k in range(num_tasks)}
        with strategy.scope():
            model = model_of(num_tasks, weighter)
        query = {"query_data": (x, y)} if weighter == "meta_weighting" else {}
        counts.append(0)
        model.fit(x, y, batch_size=4, verbose=0, **query)
    assert counts == [2 * SUMS[weighter]] * 2  # Each replica calls.


def test_sums_are_those_of_each_gradient(strategy):
    """Dense, sparse, missing and of both kinds, against NumPy."""

    def of_replica():
        replica = tf.distribute.get_replica_context()
        factor = 1.0 + tf.cast(replica.replica_id_in_sync_group, tf.float32)
        half = tf.cast(factor, tf.float16)

        def rows(indices):
            values = factor * tf.cast(indices, tf.float32)[:, None] + 1.0
            values = tf.tile(values, [1, 2])
            return tf.IndexedSlices(values, indices, tf.constant([5, 2]))

        columns = [
            [factor * tf.ones((2, 3)), None],
            [rows(tf.constant([0, 3])), rows(tf.constant([3, 3, 4]))],
            [None, half * tf.ones(4, tf.float16)],
            [None, None],
            [rows(tf.constant([1])), tf.ones((5, 2))],
        ]
        return [
            [None if g is None else tf.convert_to_tensor(g) for g in column]
            for column in sum_of_columns(columns)
        ]

    found = tf.function(strategy.run, autograph=False)(of_replica)
    found = [
        [None if g is None else g.values[1].numpy() for g in column]
        for column in found
    ]
    table = np.zeros((2, 5, 2))
    table[0, [0, 3]] = [[2.0, 2.0], [11.0, 11.0]]
    table[1, [3, 4]] = [[22.0, 22.0], [14.0, 14.0]]
    mixed = np.zeros((5, 2))
    mixed[1] = 5.0
    expected = [
        [np.full((2, 3), 3.0), None],
        list(table),
        [None, np.full(4, 3.0, "float16")],
        [None, None],
        [mixed, np.full((5, 2), 2.0)],
    ]
    for mine, theirs in zip(found, expected, strict=True):
        for value, wanted in zip(mine, theirs, strict=True):
            assert (value is None) == (wanted is None)
            if value is not None:
                np.testing.assert_array_equal(value, wanted)
