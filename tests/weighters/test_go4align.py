import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.solvers.grouping import group_means
from keras_mtl.weighters import GO4Align
from tests.golden import golden_losses, golden_weights


def test_golden():
    go4align = GO4Align(groups=1, step_size=0.01)
    received = [go4align(losses=row) for row in golden_losses()[0]]
    expected = golden_weights("GO4Align(1 group)", "GO4Align")
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def best_means(values, groups):
    """Tries every way to cut the sorted values."""
    order, best, lowest = np.argsort(values), None, np.inf
    for cuts in itertools.combinations(range(1, len(values)), groups - 1):
        parts = np.split(order, cuts)
        means = np.empty(len(values))
        for part in parts:
            means[part] = values[part].mean()
        cost = np.sum((values - means) ** 2)
        if cost < lowest:
            best, lowest = means, cost
    return best


@pytest.mark.parametrize("groups", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("scale", [0.1, 6.0])
def test_groups_are_the_best_of_all(groups, scale):
    """Against all cuts, with values alike and far apart; some not counted."""
    random = np.random.default_rng(groups)
    run = tf.function(group_means)
    for _ in range(40):
        values = np.exp(scale * random.normal(size=9))
        counted = random.permutation(9) < 7
        received = run(values, counted, groups).numpy()[counted]
        expected = best_means(values[counted], groups)
        np.testing.assert_allclose(received, expected, rtol=1e-9)


def test_as_many_groups_as_tasks_are_the_indicators_themselves():
    """w = v: the sum of losses over each, times the factors' softmax."""
    losses = np.random.default_rng(0).uniform(0.2, 4.0, (20, 4))
    go4align = GO4Align(groups=4, step_size=0.1)
    for step, row in enumerate(losses):
        factors = np.exp(-0.1 * losses[: step + 1].sum(0))
        expected = row.sum() / row * factors / factors.sum()
        received = go4align(losses=row)
        np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_absent_tasks_are_in_no_group():
    go4align = GO4Align(groups=1)
    before = go4align(losses=[1.0, 2.0, 9.0]).numpy()
    weights = go4align(losses=[1.0, 2.0, 0.0], present=[1.0, 1.0, 0.0]).numpy()
    assert weights[2] == before[2]
    # Indicators 3 and 1.5, times factors of a third.
    np.testing.assert_allclose(weights[:2], 0.75, rtol=1e-2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"groups": 0},
            "Argument `groups` must be at least 1. Received: groups=0",
        ),
        (
            {"step_size": 0},
            "Argument `step_size` must be greater than 0. "
            "Received: step_size=0",
        ),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError) as error:
        GO4Align(**arguments)
    assert str(error.value) == message
