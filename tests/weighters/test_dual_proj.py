import numpy as np
import pytest

from keras_mtl.weighters import DualProj
from tests.weighters.gramians import (
    expect_golden,
    of_units,
    random_jacobians,
    weigh_all,
)


def test_golden_updates():
    expect_golden(DualProj(), 1e-5, "DualProj")


def test_the_update_is_the_nearest_that_harms_no_task():
    """1,000 Gramians of all families, 1e-10 to 1e15, K = 5.

    The conditions of a projection, per unit gradient and weight: no descent
    against a task, worst 8e-7, from the ridge; and a task that is given more
    than its share gains nothing, worst 4e-7.
    """
    jacobians = random_jacobians()
    norms, cosines = of_units(jacobians)
    weights, _ = weigh_all(DualProj(), jacobians)
    parts = weights * norms
    gains = np.einsum("nij,nj->ni", cosines, parts)
    gains /= parts.sum(1, keepdims=True)
    assert gains.min() >= -2e-6
    added = (weights - 0.2) * norms / parts.sum(1, keepdims=True)
    assert added.min() >= 0.0
    assert np.abs(added * gains).max() <= 2e-6


def test_two_tasks_have_a_closed_form():
    """By hand: the mean is short of 2 / 18 of the first gradient."""
    weights = DualProj()(gramian=[[18.0, -22.0], [-22.0, 38.0]])
    np.testing.assert_allclose(weights, [0.5 + 2 / 18, 0.5], rtol=1e-5)
    # All of it stands on the first: its plane is normal to it.
    weights = DualProj([1.0, 0.0])(gramian=[[18.0, -22.0], [-22.0, 38.0]])
    np.testing.assert_allclose(weights, [1.0, 22 / 38], rtol=1e-5)


def test_preferences_without_conflict_are_the_weights():
    gramian = np.ones((3, 3)) + np.eye(3)
    weights = DualProj([1.0, 0.0, 3.0])(gramian=gramian)
    np.testing.assert_array_equal(weights, [1.0, 0.0, 3.0])


def test_absent_tasks_take_no_part():
    gramian = np.full((3, 3), -9.0)
    gramian[::2, ::2] = [[18.0, -22.0], [-22.0, 38.0]]
    weights = DualProj()(gramian=gramian, present=[1.0, 0.0, 1.0])
    np.testing.assert_allclose(weights, [0.5 + 2 / 18, 0.0, 0.5], rtol=1e-5)


def test_errors():
    with pytest.raises(ValueError) as error:
        DualProj([1.0, 2.0, 3.0]).bind(2)
    assert str(error.value) == (
        "Argument `preference` must have one entry for each of the 2 tasks. "
        "Received: preference=[1.0, 2.0, 3.0]"
    )
