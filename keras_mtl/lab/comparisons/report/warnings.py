"""What a reader of the report should be wary of."""

import numpy as np

from keras_mtl.lab.comparisons.methods import SINGLE_TASK
from keras_mtl.lab.comparisons.report.statistics import paired_difference
from keras_mtl.lab.comparisons.report.summary import CONDITIONS, with_interval

LEAST_WEIGHT = 0.01


def starved_tasks(comparison) -> list[str]:
    """Returns a line for each method and task whose weight all but vanished.

    That is a mean weight over an epoch below 0.01 (or, where weights are small
    because there are many tasks, below half of their mean).
    """
    starved = {}
    for cell in comparison.cells:
        if cell.sweep:
            continue
        weights = [cell.history.get(f"{t}_weight") for t in comparison.tasks]
        lengths = {None if w is None else len(w) for w in weights}
        if None in lengths or len(lengths) > 1:
            continue
        least = np.minimum(LEAST_WEIGHT, 0.5 * np.mean(weights, axis=0))
        for task, weight in zip(comparison.tasks, weights, strict=True):
            epochs = int((weight < least).sum())
            if epochs:
                starved.setdefault((cell.method, task), {})[cell.seed] = epochs
    return [
        f"{method}: the weight of '{task}' all but vanished, or was negative, "
        f"for {_by_seed(epochs)}."
        for (method, task), epochs in starved.items()
    ]


def worse_than_single(comparison) -> list[str]:
    """Returns a line for each task that is better off alone.

    That is where the paired difference to single-task learning is negative
    (or positive, where lower is better) with 0 outside its 95 % interval.
    """
    score = comparison.score
    sign = 1.0 if score.higher_is_better else -1.0
    lines = []
    for method in comparison.methods:
        if method == SINGLE_TASK:
            continue
        for task in comparison.tasks:
            difference = paired_difference(
                comparison.scores(method, task),
                comparison.scores(SINGLE_TASK, task),
            )
            if difference.excludes_zero and sign * difference.mean < 0.0:
                unit = f" {score.difference_unit}".rstrip()
                by = with_interval(difference, True, comparison.digits)
                lines.append(
                    f"{method}: '{task}' is worse than alone: {by}{unit}."
                )
    return lines


def mixed_conditions(comparison) -> list[str]:
    """Returns a line for each condition in which the runs differ."""
    lines = []
    for name in (*CONDITIONS, "versions"):
        facts = [cell.facts[name] for cell in comparison.cells]
        found = sorted({str(fact or "unknown") for fact in facts})
        if len(found) > 1:
            listed = "; ".join(found)
            lines.append(f"The runs differ in their {name}: {listed}.")
    return lines


def _by_seed(epochs):
    parts = [
        f"{count} {'epoch' if count == 1 else 'epochs'} with seed {seed}"
        for seed, count in sorted(epochs.items())
    ]
    return ", ".join(parts)
