import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from keras_mtl.lab.comparisons.report.statistics import (
    paired_difference,
    query_bound,
    t_interval,
)
from keras_mtl.metrics.delta_m import delta_m

numbers = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=10)


@given(numbers)
def test_intervals_are_those_of_scipys_test(values):
    interval = t_interval(values)
    if np.ptp(values) < 1e-6:
        return
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    bounds = (
        interval.mean - interval.half_width,
        interval.mean + interval.half_width,
    )
    np.testing.assert_allclose(bounds, expected, rtol=1e-9, atol=1e-9)
    assert interval.count == len(values)
    assert interval.excludes_zero == (expected.low > 0 or expected.high < 0)


def test_the_interval_of_two_seeds():
    """By hand: t(0.975, 1) = 12.7062, standard error 0.5."""
    interval = t_interval([1.0, 2.0])
    assert interval.mean == 1.5
    assert interval.half_width == pytest.approx(12.7062 * 0.5, rel=1e-5)


def test_few_values_have_no_interval():
    one, none = t_interval([3.0]), t_interval([])
    assert (one.mean, one.count, none.count) == (3.0, 1, 0)
    assert math.isnan(one.half_width)
    assert not one.excludes_zero
    assert math.isnan(none.mean)


@given(numbers, numbers)
def test_paired_differences_are_those_of_scipys_test(first, second):
    """On the seeds in common, also where the two ran different ones."""
    both = min(len(first), len(second))
    pairs = np.array(first[:both]), np.array(second[:both])
    interval = paired_difference(
        dict(enumerate(first)), dict(reversed(list(enumerate(second))))
    )
    assert interval.count == both
    assert interval.mean == pytest.approx(np.mean(pairs[0] - pairs[1]))
    if np.ptp(pairs[0] - pairs[1]) < 1e-6:
        return
    expected = stats.ttest_rel(*pairs).confidence_interval(0.95)
    half = (expected.high - expected.low) / 2
    assert interval.half_width == pytest.approx(half, rel=1e-6)


def test_equal_runs_do_not_differ():
    same = {0: 1.0, 1: 2.0}
    assert paired_difference(same, same) == (0.0, 0.0, 2)
    assert not t_interval([0.0, 0.0]).excludes_zero
    assert t_interval([0.5, 0.5]).excludes_zero


def test_delta_m_of_a_worked_example():
    """(+10 % and -20 %) / 2, with either sign of what is better."""
    scores, single = {"a": 0.55, "b": 0.4}, {"a": 0.5, "b": 0.5}
    assert delta_m(scores, single, True) == pytest.approx(-5.0)
    assert delta_m(scores, single, False) == pytest.approx(5.0)
    assert math.isnan(delta_m({"a": 1.0}, {"a": 0.0}, True))


def test_the_bound_is_hoeffdings():
    """Solved for δ, `2 exp(-2 m ε²)` is the probability that was asked."""
    for num_query in (1, 30, 240):
        bound = query_bound(num_query, 0.05)
        back = 2 * math.exp(-2 * num_query * bound**2)
        assert back == pytest.approx(0.05)
