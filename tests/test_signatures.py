"""What Keras users pass by position arrives where Keras puts it."""

import inspect

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel
from keras_mtl.data.feeding import FIT_ORDER
from tests.training import make_data, new_model


def parameters(cls, method):
    """Returns names and defaults, but for `self` and `**kwargs`."""
    signature = inspect.signature(getattr(cls, method))
    return [
        (name, parameter.default)
        for name, parameter in signature.parameters.items()
        if name != "self" and parameter.kind is not parameter.VAR_KEYWORD
    ]


@pytest.mark.parametrize(
    ("method", "own"),
    [
        ("evaluate", [("task", None)]),
        ("predict", [("task", None)]),
        ("train_on_batch", [("query_data", None)]),
        ("test_on_batch", []),
        ("predict_on_batch", []),
    ],
)
def test_arguments_are_those_of_keras(method, own):
    expected = parameters(keras.Model, method)
    assert parameters(MultiTaskModel, method) == expected + own


def test_fit_takes_the_positions_of_keras():
    names = [name for name, _ in parameters(keras.Model, "fit")]
    assert ["x", "y", *FIT_ORDER] == names


def test_positional_arguments_mean_what_they_mean_by_name(capsys):
    x, y = make_data()
    weight = {"tone": (np.arange(len(x)) < 5).astype("float32")}
    model = new_model("slaw")
    named = model.evaluate(
        x, y, batch_size=6, verbose=0, sample_weight=weight, return_dict=True
    )
    assert model.evaluate(x, y, 6, 0, weight, None, None, True) == named
    assert model.evaluate(x, y, 6, 0) != model.evaluate(x, y, 6, 0, weight)
    assert model.evaluate(x, y, 6, 0, None, 1)[0] == pytest.approx(
        model.evaluate(x[:6], {t: v[:6] for t, v in y.items()}, 6, 0)[0]
    )
    some = model.predict(x, 6, 0, 1)
    assert {task: len(rows) for task, rows in some.items()} == dict.fromkeys(
        y, 6
    )
    assert capsys.readouterr().out == ""
    twin = new_model("slaw")
    expected = model.train_on_batch(
        x, y, sample_weight=weight, return_dict=True
    )
    assert twin.train_on_batch(x, y, weight, None, True) == expected


def test_class_weights_are_refused():
    x, y = make_data()
    model = new_model("slaw")
    with pytest.raises(ValueError) as error:
        model.train_on_batch(x, y, None, {0: 2.0})
    assert str(error.value) == (
        "Argument `class_weight` must be None, since each task has classes of "
        "its own. Received: class_weight={0: 2.0}. Weigh rows by "
        "sample_weight={task: ...}."
    )
    with pytest.raises(ValueError, match="`class_weight` must be None"):
        model.fit(x, y, class_weight={0: 2.0})
