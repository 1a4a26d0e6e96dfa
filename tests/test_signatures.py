"""What Keras users pass by position arrives where Keras puts it."""

import inspect

import keras
import numpy as np
import pytest

from keras_mtl import MultiTaskModel
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


def test_fit_takes_the_arguments_of_keras_and_its_own_by_name():
    own = dict.fromkeys(
        ("weighter", "query_split", "query_data", "query_batch_size")
    )
    own |= {"query_rotation": False, "task": None}
    expected = [*parameters(keras.Model, "fit"), *own.items()]
    assert parameters(MultiTaskModel, "fit") == expected
    model, (x, y) = new_model(), make_data()
    with pytest.raises(TypeError, match="multiple values for argument"):
        model.fit(x, y, 8, batch_size=20)
    fourteen = [8, 1, 0, None, 0.0, None, True, *[None] * 2, 0, *[None] * 3, 1]
    with pytest.raises(TypeError, match="positional arguments"):
        model.fit(x, y, *fourteen, "slaw")
    model.fit(x, y, *fourteen)


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


def test_class_weights_of_no_task_are_refused():
    x, y = make_data()
    model = new_model("slaw")
    with pytest.raises(ValueError) as error:
        model.train_on_batch(x, y, None, {0: 2.0})
    assert str(error.value) == (
        "Argument `class_weight` must be a dict from task name to the weights "
        "of its classes, since each task has classes of its own. Received: "
        "class_weight={0: 2.0}. Pass class_weight={'tone': {0: 2.0}}."
    )
    with pytest.raises(ValueError, match="`class_weight` must be a dict"):
        model.fit(x, y, class_weight={0: 2.0})
