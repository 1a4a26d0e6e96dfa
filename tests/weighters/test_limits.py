"""Clipped and fixed weights."""

import numpy as np
import pytest

from keras_mtl.testing import check_weighter
from keras_mtl.weighters import MGDA, Clipped, Fixed, OfLogLosses, Uncertainty
from tests.weighters.trained import weights_while_trained


def test_weights_are_the_nearest_within_the_limits():
    losses = np.exp(np.random.default_rng(0).normal(size=(50, 4)))
    for row in losses:
        received = Clipped("log_losses", 0.5, 1.5)(losses=row)
        expected = np.clip(1 / row, 0.5, 1.5)
        np.testing.assert_allclose(received, expected, rtol=1e-5)
    np.testing.assert_allclose(
        Clipped("log_losses", 0.5)(losses=[0.01, 4.0]), [100.0, 0.5], rtol=1e-5
    )


def test_fixed_tasks_have_their_weight_and_the_others_the_inner_one():
    fixed = Fixed("log_losses", {"b": 3.0})
    fixed.bind(3, ("a", "b", "c"))
    np.testing.assert_allclose(
        fixed(losses=[0.5, 0.5, 4.0]), [2.0, 3.0, 0.25], rtol=1e-6
    )


def test_the_suite_with_a_weight_for_each_position():
    check_weighter(
        lambda: Fixed("slaw", [None, 0.0, None]),
        num_tasks=(3,),
        skip={"permutation": "weights stand for positions"},
    )


@pytest.mark.parametrize(
    "wrap",
    [
        lambda inner: Clipped(inner, 0.9, 1.1),
        lambda inner: Fixed(inner, [1.0, None, None]),
    ],
)
def test_what_is_trained_is_trained_as_if_it_stood_alone(wrap):
    """Limits hold the weights, not what the inner weighter learns."""
    losses, alone = np.tile([0.3, 2.0, 7.0], (30, 1)), Uncertainty()
    expected = weights_while_trained(alone, losses)
    inner = Uncertainty()
    weights = weights_while_trained(wrap(inner), losses)
    np.testing.assert_array_equal(inner.log_variance, alone.log_variance)
    assert (weights[-1] != expected[-1]).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Clipped("slaw", 2.0, 1.0),
            "Argument `highest` must be greater than 2. Received: highest=1.0",
        ),
        (
            lambda: Clipped(OfLogLosses(MGDA())),
            "Clipped cannot go around OfLogLosses, whose heads have weights "
            "of their own that Clipped would not change. Put it inside: "
            "OfLogLosses(Clipped(...)).",
        ),
        (
            lambda: Fixed("slaw", {"a": -1.0}),
            "Argument `fixed` must be at least 0. Received: fixed=-1.0",
        ),
        (
            lambda: Fixed("slaw", {}),
            "Argument `fixed` must give the weight of at least one task. "
            "Received: fixed={}. Use the weighter without Fixed.",
        ),
        (
            lambda: Fixed("slaw", {"c": 1.0}).bind(2, ("a", "b")),
            "Argument `fixed` names the unknown task 'c'. Tasks: ['a', 'b'].",
        ),
        (
            lambda: Fixed("slaw", {"a": 1.0})(losses=[1.0, 2.0]),
            "Outside a model tasks have no names: argument `fixed` must be a "
            "list with one entry for each of the 2 tasks. Received: "
            "fixed={'a': 1.0}",
        ),
        (
            lambda: Fixed("slaw", {"a": 1.0, "b": 1.0}).bind(2, ("a", "b")),
            "Argument `fixed` gives the weight of every task, which leaves "
            "the weighter nothing to learn. Received: fixed={'a': 1.0, 'b': "
            "1.0}. Leave a task out, or use Constant(weights=...).",
        ),
        (
            lambda: Fixed("slaw", [1.0, None]).bind(3),
            "Argument `fixed` must have one entry for each of the 3 tasks. "
            "Received: fixed=[1.0, None]",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError) as error:
        make()
    assert str(error.value) == message
