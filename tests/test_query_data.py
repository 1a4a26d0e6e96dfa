"""Query data: every form that `fit` takes, and which rows a step sees."""

import keras
import pytest
import tensorflow as tf

from keras_mtl import weighters
from keras_mtl.data import SupportQuery
from tests.reference import make_data, make_model


@pytest.mark.parametrize("as_data_set", [False, True])
def test_query_data_in_every_form(as_data_set):
    model = make_model(2)
    x, y = make_data(2, rows=24)
    query = make_data(2, rows=10, seed=5)
    model.compile(
        "sgd", loss="mse", weighter="meta_weighting", jit_compile=False
    )
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
