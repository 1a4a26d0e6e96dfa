"""Which metrics judge each task, and which way each is better."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from keras_mtl.checks import did_you_mean
from keras_mtl.metrics.delta_m import delta_m

SCORE_KEY = "score"
# Parts of the names of metrics that are better when lower.
LOWER = (
    *("loss", "error", "mae", "mse", "msle", "mape", "rmse", "entropy"),
    *("divergence", "poisson", "hinge", "cosh", "brier", "perplexity"),
    *("nll", "distance", "false_positive", "false_negative"),
)


class Metrics(NamedTuple):
    """The metrics of each task.

    Args:
        by_task: Dict from task name to a tuple of names, as they stand in
            History behind `<task>_`.
        higher_is_better: Dict from name to boolean.
    """

    by_task: dict[str, tuple[str, ...]]
    higher_is_better: dict[str, bool]

    def read(self, logs, prefix="", task=None) -> dict[str, dict[str, float]]:
        """Returns `{task: {metric: value}}` out of logs.

        Args:
            logs: Dict, those of an epoch or of `evaluate`.
            prefix: String, `"val_"` or none.
            task: String, the only task to read, or None for all.

        Raises:
            ValueError: If a metric is not there.
        """
        tasks = self.by_task if task is None else (task,)
        scores = {}
        for name in tasks:
            scores[name] = {}
            for metric in self.by_task[name]:
                key = f"{prefix}{name}_{metric}"
                if key not in logs:
                    raise ValueError(
                        f"Task {name!r} has no metric {metric!r}: {key!r} is "
                        f"not among the logs {sorted(logs)}."
                        f"{did_you_mean(key, logs)} Compile the model with it, "
                        "or pass metric={task: name} of one that it has."
                    )
                scores[name][metric] = float(logs[key])
        return scores

    def change(self, scores, base) -> float:
        """Returns Δm in % of scores against a base, -inf if not finite."""
        change = delta_m(scores, base, self.higher_is_better)
        return change if math.isfinite(change) else -math.inf


def parse_metrics(metric, higher_is_better, task_names) -> Metrics:
    """Returns the metrics that a user asks for.

    Args:
        metric: String, list of strings, or a dict of either by task name; None
            for each task's loss.
        higher_is_better: Dict from the name of a metric to a boolean, for
            names that do not tell; or None.
        task_names: Tuple of strings.

    Raises:
        ValueError: If a task is unknown or has no metric.
    """
    asked = "loss" if metric is None else metric
    if not isinstance(asked, Mapping):
        asked = dict.fromkeys(task_names, asked)
    for task in asked:
        if task not in task_names:
            raise ValueError(
                f"Argument `metric` names the task {task!r}, which the model "
                f"does not have. Tasks: {list(task_names)}."
                f"{did_you_mean(task, task_names)}"
            )
    by_task = {
        task: (names,) if isinstance(names, str) else tuple(names)
        for task, names in asked.items()
    }
    missing = [task for task in task_names if not by_task.get(task)]
    if missing:
        raise ValueError(
            f"Argument `metric` has no metric for the tasks {missing}. Name at "
            "least one for each, such as metric={task: 'accuracy'}."
        )
    names = {name for of in by_task.values() for name in of}
    given = dict(higher_is_better or {})
    for name in given:
        if name not in names:
            raise ValueError(
                f"Argument `higher_is_better` names {name!r}, which is no "
                f"metric of the comparison. Metrics: {sorted(names)}."
                f"{did_you_mean(name, names)}"
            )
    return Metrics(
        {task: by_task[task] for task in task_names},
        {
            name: bool(given.get(name, not any(s in name for s in LOWER)))
            for name in sorted(names)
        },
    )
