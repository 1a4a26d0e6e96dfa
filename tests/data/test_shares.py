import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_mtl.data.shares import allot_rows, largest_remainder


@given(st.lists(st.floats(0.0, 50.0), min_size=1, max_size=8))
def test_rounded_quotas_sum_to_the_total_and_miss_by_less_than_one(quotas):
    total = round(sum(quotas))
    counts = largest_remainder(quotas, total)
    assert abs(counts.sum() - sum(quotas)) <= 0.5 + 1e-6
    assert np.all(np.abs(counts - quotas) < 1.0 + 1e-6)


def test_largest_remainders_are_rounded_up():
    counts = largest_remainder([2.2, 1.7, 1.1], 5)
    np.testing.assert_array_equal(counts, [2, 2, 1])


def test_limits_leave_the_total_short():
    counts = largest_remainder([0.5, 0.5], 1, limits=[0, 0])
    np.testing.assert_array_equal(counts, [0, 0])


@given(
    st.lists(
        st.tuples(st.integers(0, 60).map(lambda n: n / 4), st.integers(0, 16)),
        min_size=1,
        max_size=8,
    )
)
def test_limits_and_whole_quotas_hold_and_the_rest_is_handed_out(pairs):
    quotas, limits = np.array(pairs).T
    total = round(quotas.sum())
    counts = largest_remainder(quotas, total, limits)
    floors = np.minimum(np.floor(quotas), limits)
    most = np.minimum(np.ceil(quotas), limits)
    assert np.all((floors <= counts) & (counts <= most))
    assert counts.sum() == min(total, most.sum())


@given(
    st.lists(st.integers(1, 10**6), min_size=1, max_size=8),
    st.integers(1, 64),
    st.floats(0.0, 2.0),
)
def test_batches_are_full_and_every_task_has_a_row(sizes, batch_size, power):
    rows = allot_rows(sizes, batch_size * len(sizes), power)
    assert rows.sum() == batch_size * len(sizes)
    assert rows.min() >= 1


def test_shares_follow_sizes_to_the_power():
    np.testing.assert_array_equal(allot_rows([900, 100], 20, 1.0), [18, 2])
    np.testing.assert_array_equal(allot_rows([900, 100], 20, 0.5), [15, 5])
    np.testing.assert_array_equal(allot_rows([900, 100], 20, 0.0), [10, 10])
    np.testing.assert_array_equal(allot_rows([9999, 1, 1], 6, 1.0), [4, 1, 1])
