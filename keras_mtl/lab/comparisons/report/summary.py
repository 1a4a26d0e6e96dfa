"""What each method reached, against the baseline and single tasks."""

import math
from typing import NamedTuple

import numpy as np

from keras_mtl.lab.comparisons.methods import SINGLE_TASK
from keras_mtl.lab.comparisons.report.statistics import (
    Interval,
    paired_difference,
    t_interval,
)
from keras_mtl.metrics.delta_m import delta_m

# What decides whether times compare; of processor times, the first alone.
CONDITIONS = ("threads", "jobs")


class Summary(NamedTuple):
    """One method over its seeds, in the score's unit.

    Args:
        method: String.
        average: `Interval` of the mean score over the tasks.
        by_task: Dict from task name to `Interval`.
        difference: `Interval` of the average minus the baseline's, seed by
            seed.
        difference_by_task: The same for each task.
        delta_m: `Interval` of Δm in %, against single-task learning.
        change: `Interval` of Δm in %, against the baseline.
        cost: Float, time of a step divided by the baseline's; NaN where the two
            cannot be compared.
        processor_cost: Float, the same of processor time, which other work on
            the machine hardly changes: runs beside others compare.
    """

    method: str
    average: Interval
    by_task: dict[str, Interval]
    difference: Interval
    difference_by_task: dict[str, Interval]
    delta_m: Interval
    change: Interval
    cost: float
    processor_cost: float


def summarise(comparison) -> list[Summary]:
    """Returns a summary of each method that has results."""
    return [
        _summary(comparison, method)
        for method in comparison.methods
        if comparison.of_method(method)
    ]


def _summary(comparison, method):
    def difference(task=None):
        reference = {}
        if method != comparison.baseline:
            reference = comparison.scores(comparison.baseline, task)
        return paired_difference(comparison.scores(method, task), reference)

    return Summary(
        method=method,
        average=t_interval(comparison.scores(method).values()),
        by_task={
            task: t_interval(comparison.scores(method, task).values())
            for task in comparison.tasks
        },
        difference=difference(),
        difference_by_task={t: difference(t) for t in comparison.tasks},
        delta_m=_delta_m(comparison, method, SINGLE_TASK),
        change=_delta_m(comparison, method, comparison.baseline),
        cost=_cost(comparison, method, "step_seconds", CONDITIONS),
        processor_cost=_cost(
            comparison, method, "step_processor_seconds", CONDITIONS[:1]
        ),
    )


def _delta_m(comparison, method, against):
    cells = comparison.of_method(method)
    base = comparison.of_method(against) if method != against else {}
    better = {
        comparison.score.key: comparison.score.higher_is_better,
        **comparison.higher_is_better,
    }
    return t_interval(
        delta_m(cells[seed].scores, base[seed].scores, better)
        for seed in cells
        if seed in base
    )


def _cost(comparison, method, name, conditions):
    """Returns the ratio of median step times, of seeds that both ran.

    Only runs whose `conditions` are known and the same count.
    """
    mine = comparison.of_method(method)
    theirs = comparison.of_method(comparison.baseline)
    times = [
        (mine[seed].seconds(name), theirs[seed].seconds(name))
        for seed in mine
        if seed in theirs
        and all(
            mine[seed].facts[term] == theirs[seed].facts[term]
            and mine[seed].facts[term] is not None
            for term in conditions
        )
    ]
    times = [pair for pair in times if all(second > 0.0 for second in pair)]
    if not times:
        return math.nan
    own, reference = np.median(times, axis=0)
    return float(own / reference)


def verdict(comparison, summaries) -> str:
    """Returns a sentence: which methods differ from the baseline.

    Args:
        comparison: `Comparison`.
        summaries: List of `Summary`.
    """
    label, unit = comparison.score.averaged, ""
    uniform = comparison.reference
    if comparison.score.difference_unit:
        unit = f" (in {comparison.score.difference_unit})"
    others = [row for row in summaries if row.method != comparison.baseline]
    if not others:
        return f"There is no method yet to compare with {uniform}."
    if not comparison.of_method(comparison.baseline):
        return (
            f"There is no finished run of '{comparison.baseline}': no method "
            f"can be compared with {uniform}."
        )
    judged = [row for row in others if row.difference.count > 1]
    if not judged:
        return (
            f"No method has two seeds in common with {uniform}: there is "
            f"no interval, and no difference in {label} can be told from "
            "chance."
        )
    digits = comparison.digits
    apart = [
        f"{row.method} ({with_interval(row.difference, True, digits)}, "
        f"{row.difference.count} seeds)"
        for row in judged
        if row.difference.excludes_zero
    ]
    if apart:
        verb = "differs" if len(apart) == 1 else "differ"
        sentence = (
            f"{_listed(apart)} {verb} from {uniform} in {label}{unit} "
            "outside the 95 % interval of the paired difference"
        )
        rest = len(judged) - len(apart)
        if rest:
            plural = "other method does" if rest == 1 else "other methods do"
            sentence += f"; the {rest} {plural} not."
        else:
            sentence += "."
    else:
        sentence = (
            f"No method differs from {uniform} in {label} outside the "
            f"95 % interval of the paired difference ({len(judged)} methods)."
        )
    unjudged = [row.method for row in others if row.difference.count < 2]
    if unjudged:
        sentence += f" Too few seeds in common: {_listed(unjudged)}."
    return sentence


def with_interval(interval, signed=False, digits=2) -> str:
    """Returns `"93.10 ± 0.24"`, or the mean alone where no interval is."""
    if interval.count == 0 or math.isnan(interval.mean):
        return "–"
    sign = "+" if signed else ""
    mean = f"{interval.mean:{sign}.{digits}f}".replace("-", "−")
    if math.isnan(interval.half_width):
        return mean
    return f"{mean} ± {interval.half_width:.{digits}f}"


def _listed(names):
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}"
