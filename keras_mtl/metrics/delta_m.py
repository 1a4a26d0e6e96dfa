"""Δm: how much tasks gain against a baseline, in one number."""

import math
from collections.abc import Mapping
from typing import Any

from keras_mtl.checks import did_you_mean


def delta_m(
    scores: Mapping[str, Any],
    base: Mapping[str, Any],
    higher_is_better: bool | Mapping[str, Any] = True,
) -> float:
    """Returns the mean relative change of the tasks against a baseline, in %.

    First the mean over a task's metrics, then over tasks, so that a task with
    many metrics does not count more.

    Example:

    >>> delta_m({"seg": 0.55, "depth": 0.6}, {"seg": 0.5, "depth": 0.5},
    ...         {"seg": True, "depth": False})
    -5.0

    Args:
        scores: Dict from task name to a number, or to a dict from metric to
            number, or to a list of the numbers of a task's metrics.
        base: The same of the baseline, usually of single-task models.
        higher_is_better: Boolean for all; or a dict from task name, or from
            metric, to boolean; or nested as `scores` are.

    Returns:
        Float, positive where the tasks gain; NaN where a base is 0 or NaN.

    Raises:
        ValueError: If tasks or metrics differ, a direction is missing, or the
            scores are no dicts of numbers.

    Reference:
        - [Maninis et al., 2019](https://arxiv.org/abs/1904.08918)
        - [Lin and Zhang, 2023](https://arxiv.org/abs/2203.14338), for several
            metrics per task
    """
    for name, given in (("scores", scores), ("base", base)):
        if not isinstance(given, Mapping):
            raise ValueError(
                f"Argument `{name}` must be a dict from task name to a number, "
                "a list of numbers, or a dict from metric to number. "
                f"Received: {name}={given!r}"
            )
    _check_names("task", scores, base)
    by_task = []
    for task, score in scores.items():
        mine, theirs = _metrics(score), _metrics(base[task])
        _check_names(f"metric of task {task!r}", mine, theirs)
        changes = [
            _change(
                float(value),
                float(theirs[metric]),
                _better(higher_is_better, task, metric),
            )
            for metric, value in mine.items()
        ]
        by_task.append(sum(changes) / len(changes))
    return 100.0 * sum(by_task) / len(by_task)


def _metrics(score):
    """Returns a task's scores by metric, or by position, or the only one."""
    if isinstance(score, Mapping):
        return score
    if isinstance(score, list | tuple):
        return dict(enumerate(score))
    return {None: score}


def _change(value, base, higher):
    if not abs(base) > 0.0:
        return math.nan
    change = (value - base) / abs(base)
    return change if higher else -change


def _better(given, task, metric):
    if not isinstance(given, Mapping):
        return bool(given)
    found = given.get(task, given.get(metric))
    if isinstance(found, Mapping | list | tuple):
        found = _metrics(found).get(metric)
    if found is None:
        named = repr(task) if metric is None else f"{metric!r} of {task!r}"
        raise ValueError(
            f"Argument `higher_is_better` does not say which way {named} is "
            f"better. Received: {dict(given)!r}"
        )
    return bool(found)


def _check_names(what, mine, theirs):
    if not mine:
        raise ValueError(f"There is no {what} to compare. Received: {mine!r}")
    for name in {**mine, **theirs}:
        if name not in mine or name not in theirs:
            raise ValueError(
                f"The {what} {name!r} is missing in "
                f"{'`base`' if name in mine else '`scores`'}. Both must have "
                f"the same.{did_you_mean(name, theirs)}"
            )
