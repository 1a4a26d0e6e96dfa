"""Query data: every form that `fit` takes, and which rows a step sees."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import weighters
from keras_mtl.data import SupportQuery
from tests.reference import make_data, make_model


def compiled(weighter="uniform"):
    model = make_model(2)
    model.compile("sgd", loss="mse", weighter=weighter, jit_compile=False)
    return model


@pytest.mark.parametrize("as_data_set", [False, True])
def test_query_data_in_every_form(as_data_set):
    model = compiled("meta_weighting")
    x, y = make_data(2, rows=24)
    query = make_data(2, rows=10, seed=5)
    if as_data_set:
        data = tf.data.Dataset.from_tensor_slices((x, y)).batch(8)
        query = tf.data.Dataset.from_tensor_slices(query).batch(4)
        model.fit(data, query_data=query, shuffle=False, epochs=2, verbose=0)
        zipped = tf.data.Dataset.zip(SupportQuery(data, query.repeat()))
        model.fit(zipped, shuffle=False, verbose=0)
    else:
        model.fit(x, y, query_data=query, query_batch_size=4, verbose=0)
        model.fit(x, y, query_split=0.25, batch_size=8, epochs=2, verbose=0)
    assert set(model.task_weights.values()) != {1.0}


def test_query_batches_go_on_from_epoch_to_epoch():
    """With one support batch an epoch, each epoch still sees new query rows."""
    seen = []

    class Spy(weighters.Weighter):
        def call(self, losses):
            return tf.ones_like(losses)

        def observe(self, query_losses):
            tf.py_function(
                lambda q: seen.append(q.numpy()[0]), [query_losses], []
            )
            return tf.ones_like(query_losses)

    model = make_model(1)
    x, y = make_data(1, rows=4)
    x_query, y_query = make_data(1, rows=12, seed=3)
    model.compile(
        keras.optimizers.SGD(0.0), loss="mse", weighter=Spy(), jit_compile=False
    )
    query = tf.data.Dataset.from_tensor_slices((x_query, y_query)).batch(4)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    model.fit(data, query_data=query, epochs=3, shuffle=False, verbose=0)
    assert len(set(seen)) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"validation_split": 1.0}, "`validation_split` must lie between 0"),
        ({"validation_split": -0.5}, "`validation_split` must lie between 0"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"batch_size": -1}, "`batch_size` must be at least 1"),
        ({"query_batch_size": 0}, "`query_batch_size` must be at least 1"),
        ({"query_data": np.ones(2)}, r"a tuple \(x, y\) or .*type ndarray"),
    ],
)
def test_sizes_of_batches_and_parts(arguments, message):
    x, y = make_data(2)
    with pytest.raises(ValueError, match=message):
        compiled("meta_weighting").fit(
            x, y, **{"query_data": (x, y), **arguments}
        )


def test_numbers_of_rows_beside_query_data():
    x, y = make_data(2)
    short = {**y, "task_1": y["task_1"][:-1]}
    message = r"Task 'task_1': inputs, labels and weights must have the same"
    with pytest.raises(ValueError, match=message):
        compiled("meta_weighting").fit(x, short, query_data=(x, y))


def test_one_array_of_weights_for_all_tasks():
    x, y = make_data(2)
    weight = np.float32([1, 0, 1, 1, 0, 1, 1])
    losses = [
        compiled().train_on_batch(x, y, sample_weight=weights)
        for weights in (weight, dict.fromkeys(y, weight))
    ]
    np.testing.assert_array_equal(*losses)
