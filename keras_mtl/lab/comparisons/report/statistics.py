"""Means over seeds, and how sure they are."""

import math
from typing import NamedTuple

import numpy as np

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean and its confidence interval, `mean ± half_width`.

    Args:
        mean: Float; NaN without values.
        half_width: Float; NaN with fewer than two values.
        count: Integer, the number of values.
    """

    mean: float
    half_width: float
    count: int

    @property
    def excludes_zero(self) -> bool:
        """Whether 0 lies outside; false where there is no interval."""
        return abs(self.mean) > self.half_width


def t_interval(values, confidence=CONFIDENCE) -> Interval:
    """Returns the mean with Student's t-interval.

    The values are taken to be independent draws of a normal distribution.

    Args:
        values: Iterable of floats, one for each seed.
        confidence: Float in (0, 1).
    """
    values = np.array(list(values), "float64")
    count = len(values)
    if count == 0:
        return Interval(math.nan, math.nan, 0)
    mean = float(values.mean())
    if count == 1:
        return Interval(mean, math.nan, 1)
    from scipy import stats

    quantile = stats.t.ppf((1.0 + confidence) / 2.0, count - 1)
    error = values.std(ddof=1) / math.sqrt(count)
    return Interval(mean, float(quantile * error), count)


def paired_difference(values, reference) -> Interval:
    """Returns the interval of the differences on the seeds in common.

    Args:
        values: Dict from seed to float.
        reference: Dict from seed to float, what is subtracted.
    """
    return t_interval(
        value - reference[seed]
        for seed, value in values.items()
        if seed in reference
    )


def on_common_seeds(groups) -> dict:
    """Returns the groups with those seeds only that all of them have.

    Groups without a seed in common stay as they are.

    Args:
        groups: Dict from group to a dict by seed.
    """
    common = set.intersection(*map(set, groups.values())) if groups else set()
    return {
        group: {s: v for s, v in of.items() if s in common or not common}
        for group, of in groups.items()
    }


def query_bound(num_query, probability=0.05) -> float:
    """Returns how far query and generalisation loss may be apart.

    Hoeffding's bound `√(log(2/δ) / (2 m))` for a loss in [0, 1]; it holds with
    probability `1 - δ` for a model that the query rows taught nothing.

    Args:
        num_query: Integer, the paper's `m`, query rows of the task.
        probability: Float, the paper's `δ`.

    Reference:
        - [Mao et al., 2022](https://aclanthology.org/2022.findings-acl.271),
            Theorem 3
    """
    return math.sqrt(math.log(2.0 / probability) / (2.0 * num_query))
