import numpy as np
import pytest

from keras_mtl.weighters import Tchebycheff


def test_all_weight_goes_to_the_worst_task():
    tchebycheff = Tchebycheff()
    np.testing.assert_array_equal(
        tchebycheff(losses=[1.0, 3.0, 2.0]), [0, 3, 0]
    )
    # Unlike a running minimum, falling losses do not hand it to the first.
    np.testing.assert_array_equal(
        tchebycheff(losses=[0.1, 0.2, 0.3]), [0, 0, 3]
    )


def test_preference_and_ideal_decide_who_is_worst():
    losses = [1.0, 3.0]
    preferring = Tchebycheff(preference=[10.0, 1.0])
    np.testing.assert_array_equal(preferring(losses=losses), [2, 0])
    aiming = Tchebycheff(ideal=[0.0, 2.5])
    np.testing.assert_array_equal(aiming(losses=losses), [2, 0])


def test_exact_ties_share():
    np.testing.assert_allclose(
        Tchebycheff()(losses=[2.0, 1.0, 2.0]), [1.5, 0.0, 1.5]
    )
    tied = Tchebycheff(preference=[3.0, 1.0])
    np.testing.assert_allclose(tied(losses=[1.0, 3.0]), [1.5, 0.5])


def test_smooth_form_tends_to_the_hard_one():
    losses = np.random.default_rng(0).random((20, 4))
    hard, smooth = Tchebycheff(), Tchebycheff(smoothing=1e-5)
    for row in losses:
        np.testing.assert_allclose(
            smooth(losses=row), hard(losses=row), atol=1e-5
        )
    # Closed form for two tasks: a logistic function of the difference.
    weights = Tchebycheff(smoothing=1.0)(losses=[1.0, 2.0])
    np.testing.assert_allclose(weights[1], 2 / (1 + np.exp(-1)), rtol=1e-6)


def test_absent_task_cannot_be_the_worst():
    tchebycheff = Tchebycheff(ideal=5.0)
    weights = tchebycheff(losses=[1.0, 0.0, 2.0], present=[1.0, 0.0, 1.0])
    np.testing.assert_array_equal(weights, [0, 0, 3])
    nothing = tchebycheff(losses=[0.0] * 3, present=[0.0] * 3)
    np.testing.assert_array_equal(nothing, [0, 0, 3])


def test_preference_by_task():
    tchebycheff = Tchebycheff(preference={"b": 1.0, "a": 3.0})
    tchebycheff.bind(2, ("a", "b"))
    np.testing.assert_allclose(tchebycheff(losses=[1.0, 3.0]), [1.5, 0.5])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"preference": [1.0, 0.0]},
            "Argument `preference` must be greater than 0. "
            "Received: preference=0.0",
        ),
        (
            {"smoothing": -1.0},
            "Argument `smoothing` must be at least 0. Received: smoothing=-1.0",
        ),
        (
            {"ideal": float("nan")},
            "Argument `ideal` must be a finite number. Received: ideal=nan",
        ),
        (
            {"preference": [1.0]},
            "Argument `preference` must have one entry for each of the 2 "
            "tasks. Received: preference=[1.0]",
        ),
        (
            {"ideal": {"a": 1.0}},
            "Outside a model tasks have no names: argument `ideal` must be a "
            "list with one entry for each of the 2 tasks. Received: "
            "ideal={'a': 1.0}",
        ),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError) as error:
        Tchebycheff(**arguments)(losses=[1.0, 2.0])
    assert str(error.value) == message
