"""Whole numbers that keep given proportions."""

import numpy as np


def largest_remainder(quotas, total, limits=None, rng=None):
    """Rounds quotas to whole numbers that sum to a total.

    Every quota is rounded down; what is then missing goes, one each, to the
    quotas that lost most. A whole quota is kept as it is: no result is one or
    more away from its quota, unless its limit is.

    Example:

    >>> largest_remainder([1.5, 0.8, 0.7], 3)
    array([1, 1, 1])

    Args:
        quotas: `(n,)` non-negative floats whose sum is about `total`.
        total: Integer, the sum of the result. The sum falls short of it only
            where `limits` leave no room to round up.
        limits: `(n,)` integers, the most that each may get.
        rng: `numpy.random.Generator` that orders equal remainders. By default
            the first come first.

    Returns:
        `(n,)` int64 array.
    """
    # Rounded, so that 0.1 * 30 is whole, and 1.1 and 2.1 tie.
    quotas = np.round(np.asarray(quotas, "float64"), 9)
    limits = np.inf if limits is None else np.asarray(limits)
    counts = np.minimum(np.floor(quotas), limits).astype("int64")
    tie_break = np.arange(len(quotas))
    if rng is not None:
        rng.shuffle(tie_break)
    order = np.lexsort((tie_break, np.round(counts - quotas, 9)))
    order = order[((counts < limits) & (counts < quotas))[order]]
    counts[order[: max(int(total) - int(counts.sum()), 0)]] += 1
    return counts


def allot_rows(sizes, total, power):
    """Shares the rows of a batch among tasks by their sizes to a power.

    Example:

    >>> allot_rows([900, 100, 1], 30, power=1.0)
    array([26,  3,  1])

    Args:
        sizes: `(K,)` positive integers, the tasks' numbers of rows.
        total: Integer, at least K, the rows of a batch.
        power: Float, 0 for equal shares, 1 for shares like the sizes.

    Returns:
        `(K,)` int64 array of sum `total`, each at least 1.
    """
    # Scaled first: a large size to a large power would overflow.
    weights = (np.asarray(sizes, "float64") / np.max(sizes)) ** power
    lifted = np.zeros(len(weights), bool)
    while True:
        shared = np.where(lifted, 0.0, weights)
        quotas = shared / shared.sum() * (total - lifted.sum())
        too_small = ~lifted & (quotas < 1.0)
        if not too_small.any() or (lifted | too_small).all():
            break
        lifted |= too_small
    quotas = np.where(lifted, 1.0, np.maximum(quotas, 1.0))
    return largest_remainder(quotas, total)
