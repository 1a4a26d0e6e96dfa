import math

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_mtl import MultiTaskModel
from keras_mtl.gradients.conflicts import ConflictMeter, gradient_conflicts
from keras_mtl.layers import StackedHeads
from tests.training import make_data, new_model, separate


@given(
    num_tasks=st.integers(2, 12),
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([1e-20, 1e-6, 1.0, 1e9]),
)
def test_conflicts_are_those_of_the_gradients(num_tasks, seed, scale):
    rng = np.random.default_rng(seed)
    gradients = scale * rng.normal(size=(num_tasks, 30))
    cosines = [
        a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        for i, a in enumerate(gradients)
        for b in gradients[:i]
    ]
    conflicts = gradient_conflicts(gradients @ gradients.T)
    assert conflicts.mean_cosine == pytest.approx(np.mean(cosines), abs=1e-9)
    assert conflicts.negative_share == np.mean(np.array(cosines) < 0)


def test_a_task_without_gradient_is_left_out():
    gradients = np.array([[1.0, 0.0], [0.0, 0.0], [-2.0, 0.0]])
    assert gradient_conflicts(gradients @ gradients.T) == (-1.0, 1.0)


@pytest.mark.parametrize(
    "gramian",
    [[[2.0]], np.zeros((3, 3)), np.diag([1.0, 0.0]), [[1.0, np.nan]] * 2],
)
def test_conflicts_that_are_not_defined(gramian):
    assert all(math.isnan(value) for value in gradient_conflicts(gramian))


def linear_model(heads):
    """A model whose tasks' gradients are known: `prediction = w x`."""
    inputs = keras.Input((1,))
    shared = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = MultiTaskModel(keras.Model(inputs, shared(inputs)), heads)
    model.compile("sgd", loss="mse", jit_compile=False)
    return model


def test_opposite_tasks():
    """The same prediction is too high for one task, too low for the other."""
    ones = {"use_bias": False, "kernel_initializer": "ones"}
    x, y = np.ones((4, 1)), {"up": np.full((4, 1), 3.0), "down": np.zeros(4)}
    named = {task: keras.layers.Dense(1, **ones) for task in y}
    stacked = StackedHeads(("up", "down"), **ones)
    for heads in (named, stacked):
        assert ConflictMeter(linear_model(heads), (x, y))() == (-1.0, 1.0)


def test_alike_tasks_with_one_masked():
    ones = {"use_bias": False, "kernel_initializer": "ones"}
    y = {"a": np.zeros(4), "b": np.zeros(4), "c": np.full(4, 9.0)}
    heads = {task: keras.layers.Dense(1, **ones) for task in y}
    batch = (np.ones((4, 1)), y, {"c": np.zeros(4)})
    assert ConflictMeter(linear_model(heads), batch)() == (1.0, 0.0)


@pytest.mark.parametrize("arrange", [lambda data: data, separate])
def test_measuring_changes_nothing(arrange):
    """And agrees with the Gramian of backward passes, eagerly taken."""
    model = new_model("uniform", model={"batch_norm": True, "dropout": 0.5})
    data = arrange(make_data())
    model.fit(*data, verbose=0)
    before = [np.asarray(v) for v in model.variables]
    meter = ConflictMeter(model, data)
    first = meter()
    assert meter() == first
    np.testing.assert_equal([np.asarray(v) for v in model.variables], before)
    from keras_mtl.gradients import TaskGradients

    gradients = TaskGradients(model, (*data, None), training=False)
    expected = gradient_conflicts(gradients.gramian("shared"))
    assert first == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            np.zeros(3),
            r"must be a tuple \(x, y\) or \(x, y, sample_weight\). Received: "
            "ndarray",
        ),
        ((np.zeros((2, 4)), {"tune": [0, 1]}), "Did you mean .tone.?"),
        ((np.zeros((2, 4)), None), "Labels must be a dict"),
    ],
)
def test_bad_batches(data, message):
    with pytest.raises(ValueError, match=message):
        ConflictMeter(new_model(), data)
