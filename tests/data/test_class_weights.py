"""Weights of classes are weights of the rows that belong to them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.test_cases_labels import HALF, KINDS, ROWS, X, compiled, history


class OneBatch(keras.utils.PyDataset):
    """The same batch, as often as asked for."""

    num_batches = 1

    def __init__(self, *batch):
        super().__init__()
        self.batch = batch

    def __getitem__(self, number):
        return self.batch


SOURCES = {
    "arrays": lambda *data: data,
    "data set": lambda *data: (tf.data.Dataset.from_tensors(data), None),
    "generator": lambda *data: ((data for _ in range(2)), None),
    "PyDataset": lambda *data: (OneBatch(*data), None),
}


@pytest.mark.parametrize(
    ("one_hot", "source"),
    [
        *((False, "arrays"), (True, "arrays"), (True, "data set")),
        *((False, "generator"), (True, "PyDataset")),
    ],
)
def test_class_weights_are_those_of_plain_keras(one_hot, source):
    loss = "sparse_categorical_crossentropy"
    labels = KINDS
    if one_hot:
        loss, labels = "categorical_crossentropy", np.eye(3)[KINDS]
    head = keras.layers.Dense(3, "softmax")
    model = compiled({"kind": head}, {"kind": loss})
    plain = keras.Sequential([model.encoder, model.heads["kind"]])
    weights = {0: 1.0, 1: 19.0, 2: 0.5}
    outputs = model.predict(X, verbose=0)["kind"]
    values = -np.log(outputs[np.arange(ROWS), KINDS])
    expected = np.mean(values * np.vectorize(weights.get)(KINDS))
    plain.compile("sgd", loss=loss)
    with_keras = plain.train_on_batch(X, labels, class_weight=weights)
    assert with_keras == pytest.approx(expected, rel=1e-5)
    x, y = SOURCES[source](X, {"kind": labels})
    outputs = model.predict(X, verbose=0)["kind"]
    values = -np.log(outputs[np.arange(ROWS), KINDS])
    expected = np.mean(values * np.vectorize(weights.get)(KINDS))
    logs = history(
        model, x, y, class_weight={"kind": weights}, steps_per_epoch=1
    )
    assert logs["kind_loss"][0] == pytest.approx(expected, rel=1e-5)


def test_class_weights_multiply_sample_weights():
    model = compiled(
        {"kind": keras.layers.Dense(3, "softmax")},
        {"kind": "sparse_categorical_crossentropy"},
    )
    outputs = model.predict(X, verbose=0)["kind"]
    values = -np.log(outputs[np.arange(ROWS), KINDS])
    factors = np.where(KINDS == 1, 19.0, 1.0) * HALF
    logs = model.train_on_batch(
        X,
        {"kind": KINDS},
        sample_weight={"kind": HALF},
        class_weight={"kind": {1: 19.0}},
        return_dict=True,
    )
    expected = (values * factors).sum() / HALF.sum()
    assert logs["kind_loss"] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(
        ValueError, match=r"Pass class_weight=\{'kind': \{0: 1.0, 1: 2.0\}\}"
    ):
        history(model, X, {"kind": KINDS}, class_weight={0: 1.0, 1: 2.0})
    with pytest.raises(ValueError, match="Task 'x' has a class weight but"):
        history(model, X, {"kind": KINDS}, class_weight={"x": {0: 1.0}})
