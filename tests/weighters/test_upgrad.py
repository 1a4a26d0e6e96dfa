import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.weighters import UPGrad
from tests.weighters.gramians import (
    expect_golden,
    golden_updates,
    of_units,
    random_jacobians,
    weigh_all,
)

# J = [[-4, 1, 1], [6, 1, 1]], the reference case of METHODS.md.
GRAMIAN = np.array([[18.0, -22.0], [-22.0, 38.0]])


def test_golden_updates():
    expect_golden(UPGrad(), 1e-5, "UPGrad")


def test_golden_updates_with_preferences():
    for jacobian, gramian, expected in golden_updates("UPGrad(preference)"):
        ranks = np.arange(1.0, len(jacobian) + 1)
        upgrad = UPGrad(list(ranks / ranks.sum()))
        update = np.float64(upgrad(gramian=gramian)) @ jacobian
        error = np.linalg.norm(update - expected)
        assert error <= 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize("size", [2, 5])
def test_no_task_is_harmed(size):
    """1,000 Gramians of all families, 1e-10 to 1e15.

    Descent against a task, per unit gradient and weight: worst 8e-7 for
    K = 5, 2e-7 for K = 2, from the ridge; the median update harms none.
    """
    jacobians = random_jacobians(size)
    norms, cosines = of_units(jacobians)
    weights, _ = weigh_all(UPGrad(), jacobians)
    assert (weights >= 1.0 / size).all()
    parts = weights * norms
    gains = np.einsum("nij,nj->ni", cosines, parts)
    gains /= parts.sum(1, keepdims=True)
    assert gains.min() >= -2e-6
    assert np.median(gains.min(1)) > 0.0


def test_two_tasks_average_their_projections():
    """By hand: half of what PCGrad sums, for K = 2."""
    for row in random_jacobians(2)[:50:5]:
        gramian = row @ row.T
        inner = min(gramian[0, 1], 0.0)
        expected = 0.5 - 0.5 * inner / np.diag(gramian)
        weights = UPGrad()(gramian=gramian)
        np.testing.assert_allclose(weights, expected, rtol=1e-5)


def test_preferences_without_conflict_are_the_weights():
    gramian = np.ones((3, 3)) + np.eye(3)
    third = np.float32(1 / 3)
    np.testing.assert_array_equal(UPGrad()(gramian=gramian), [third] * 3)
    weights = UPGrad([1.0, 0.0, 3.0])(gramian=gramian)
    np.testing.assert_array_equal(weights, [1.0, 0.0, 3.0])


def test_weights_are_proportional_to_preferences_however_large():
    once = UPGrad([0.1, 0.2])(gramian=GRAMIAN)
    often = UPGrad([10.0, 20.0])(gramian=GRAMIAN)
    np.testing.assert_allclose(often, 100 * once.numpy(), rtol=1e-6)


def test_absent_tasks_and_tasks_without_gradient():
    gramian = np.zeros((3, 3))
    gramian[::2, ::2] = GRAMIAN
    expected = np.array([20 / 18, 30 / 38])  # by hand, as above
    weights = UPGrad()(gramian=gramian)
    third = 2 / 3 * expected
    np.testing.assert_allclose(weights, [third[0], 1 / 3, third[1]], rtol=1e-5)
    gramian[1] = gramian[:, 1] = -1.0
    for preference in (None, [0.5, 7.0, 0.5]):
        weights = UPGrad(preference)(gramian=gramian, present=[1.0, 0.0, 1.0])
        np.testing.assert_allclose(
            weights, [expected[0], 0.0, expected[1]], rtol=1e-5
        )


def test_preferences_by_name():
    upgrad = UPGrad({"b": 2.0, "a": 1.0})
    upgrad.bind(2, ("a", "b"))
    weights = upgrad(gramian=np.eye(2))
    np.testing.assert_array_equal(weights, [1.0, 2.0])


@pytest.mark.parametrize(
    ("preference", "message"),
    [
        (
            1.0,
            "Argument `preference` must be a list, or a dict from task name "
            "to float. Received: preference=1.0",
        ),
        (
            [1.0, -1.0],
            "Argument `preference` must be at least 0. "
            "Received: preference=-1.0",
        ),
        (
            {"a": 0.0, "b": 0.0},
            "Argument `preference` must be above 0 for at least one task. "
            "Received: preference={'a': 0.0, 'b': 0.0}",
        ),
    ],
)
def test_errors(preference, message):
    with pytest.raises(ValueError) as error:
        UPGrad(preference)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("preference", "message"),
    [
        (
            {"a": 1.0, "c": 2.0},
            "Argument `preference` must name the model's tasks ['a', 'b']. "
            "Received: preference={'a': 1.0, 'c': 2.0}",
        ),
        (
            [1.0, 2.0, 3.0],
            "Argument `preference` must have one entry for each of the 2 "
            "tasks. Received: preference=[1.0, 2.0, 3.0]",
        ),
    ],
)
def test_preferences_of_other_tasks(preference, message):
    with pytest.raises(ValueError) as error:
        UPGrad(preference).bind(2, ("a", "b"))
    assert str(error.value) == message


def test_no_gradient_flows():
    gramian = tf.Variable(GRAMIAN, dtype="float32")
    upgrad = UPGrad()
    upgrad.bind(2)
    with tf.GradientTape() as tape:
        weights = upgrad(gramian=gramian)
    assert tape.gradient(weights, gramian) is None
