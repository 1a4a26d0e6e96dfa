"""One cell of a comparison: a method with a seed, and what it measured."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_mtl.lab.comparisons.report import checking
from keras_mtl.lab.runs.json_files import read_object


@dataclass(frozen=True)
class Result:
    """What a finished run measured.

    Args:
        method: String.
        seed: Integer.
        sweep: Dict from a swept parameter to its value; empty outside sweeps.
        average: Float, mean score over the tasks.
        by_task: Dict from task name to score.
        scores: Dict from task name to a dict from metric to value, where a
            task may have several.
        constants: Dict from the name of a predictor that no model is behind to
            its `scores`.
        metrics: Dict of all metrics.
        history: Dict from name to `(epochs,)` float64 array.
        weights: `(steps, K)` float64 array, or `None`.
        weight_steps: `(steps,)` array, the steps of `weights`, or `None`.
        conflicts: Dict of `epochs`, `mean_cosine` and `negative_share`, arrays
            of one length, or `None`.
        losses: Dict as it was written, or `None`.
        facts: Dict of `command`, `threads`, `jobs`, `num_parameters`,
            `learning_rate` and `versions`, as far as known.
    """

    method: str
    seed: int
    sweep: dict[str, Any]
    average: float
    by_task: dict[str, float]
    scores: dict[str, dict[str, float]]
    constants: dict[str, dict[str, dict[str, float]]]
    metrics: dict[str, Any]
    history: dict[str, np.ndarray]
    weights: np.ndarray | None
    weight_steps: np.ndarray | None
    conflicts: dict[str, np.ndarray] | None
    losses: dict[str, Any] | None
    facts: dict[str, Any]

    def seconds(self, name) -> float:
        """Returns a time among the metrics in seconds, NaN if not known."""
        try:
            return checking.number(self.metrics.get(name))
        except TypeError:
            return math.nan

    def mean_history(self, tasks, form) -> np.ndarray | None:
        """Returns the mean over the tasks of one of their curves.

        Args:
            tasks: Iterable of strings.
            form: String such as `"val_{}_accuracy"`.

        Returns:
            `(epochs,)` array, or `None` where a task has none.
        """
        curves = [self.history.get(form.format(task)) for task in tasks]
        lengths = {-1 if curve is None else len(curve) for curve in curves}
        if len(lengths) > 1 or min(lengths) < 1:
            return None
        return np.mean(curves, axis=0)


def judged_tasks(paths, key) -> tuple[str, ...]:
    """Returns the tasks of the first finished cell, in its order.

    Those are left out that another cell trained and could not judge, as an
    assay without an active test molecule.

    Args:
        paths: Iterable of paths of cells outside sweeps.
        key: String, name of the metric that methods are compared by.
    """
    tasks, unjudged = (), set()
    for path in paths:
        try:
            content = read_object(path, "")
            judged = checking.mapping(content["metrics"][f"{key}_by_task"])
            trained = _trained(checking.mapping(content.get("history") or {}))
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if content.get("status") != "finished":
            continue
        tasks = tasks or tuple(judged)
        unjudged |= {*trained} - {*judged}
    return tuple(task for task in tasks if task not in unjudged)


def _weights(given, columns, tasks) -> tuple:
    """Returns `(steps, K)` weights of the tasks, and the steps."""
    if given is None or columns is None:
        return None, None
    steps = checking.numbers(given["steps"])
    weights = np.array([checking.numbers(row) for row in given["values"]])
    alike = weights.shape == (len(steps), len(columns))
    if alike and {*tasks} <= {*columns}:
        weights = weights[:, [columns.index(task) for task in tasks]]
    if weights.shape != (len(steps), len(tasks)):
        raise ValueError(
            f"weights of the shape {weights.shape} for {len(steps)} steps "
            f"and {len(tasks)} tasks"
        )
    return weights, steps


def _columns(metrics, by_task, trained) -> Any:
    """Returns the tasks in the order of the columns of weights.

    That of the model, which a history has not: Keras sorts it by name. A cell
    of an earlier version has it in its scores, if it judged all tasks; else it
    is not known, and `None`.
    """
    if "tasks" in metrics:
        return checking.texts(metrics["tasks"])
    return (*by_task,) if {*trained} <= {*by_task} else None


def _trained(history):
    """Returns the tasks whose weights a history has, sorted."""
    end = "_weight"
    return [name.removesuffix(end) for name in history if name.endswith(end)]


def read_cell(path, key, tasks) -> Result | str:
    """Reads the file of a cell.

    Args:
        path: Path.
        key: String, name of the metric that methods are compared by.
        tasks: Tuple of strings. Of those, a swept run may have trained a part.

    Returns:
        A `Result`, or the error of a run that failed.

    Raises:
        ValueError: If the file is not that of a cell.
    """
    try:
        content = read_object(path, "Remove it to run it again.")
        if content["status"] == "failed":
            return str(content.get("error") or "no error was noted")
        if content["status"] != "finished":
            raise ValueError(f"its status is {content['status']!r}")
        return _finished(content, key, tasks)
    except OSError as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"not the file of a cell: {type(error).__name__}: {error}"
        ) from error


def _finished(content, key, tasks):
    metrics = checking.mapping(content["metrics"])
    by_task = checking.mapping(metrics[f"{key}_by_task"])
    history = checking.mapping(content.get("history") or {})
    sweep = checking.mapping(content.get("sweep") or {})
    trained = _trained(history)
    if sweep and trained:
        tasks = tuple(task for task in tasks if task in trained)
    scores = {"the average": metrics[key], **{t: by_task[t] for t in tasks}}
    for name, score in scores.items():
        if not math.isfinite(checking.number(score)):
            raise ValueError(f"the {key} of {name} is {score!r}")
    if not tasks:
        raise ValueError("it has no tasks")
    columns = _columns(metrics, by_task, trained)
    weights, steps = _weights(content.get("weights"), columns, tasks)
    conflicts = content.get("conflicts")
    if conflicts is not None:
        names = ("epochs", "mean_cosine", "negative_share")
        conflicts = {name: checking.numbers(conflicts[name]) for name in names}
        if len({values.shape for values in conflicts.values()}) > 1:
            raise ValueError("conflicts of unlike lengths")
    names = ("command", "threads", "jobs", "num_parameters")
    config = checking.mapping(content.get("config") or {})
    return Result(
        method=checking.text(content["method"]),
        seed=checking.count(content["seed"], 2**53),
        sweep={name: checking.finite(value) for name, value in sweep.items()},
        average=float(metrics[key]),
        by_task={task: float(by_task[task]) for task in tasks},
        scores=_scores(metrics, key, tasks),
        constants={
            name: _metrics_of(checking.mapping(scores), tasks)
            for name, scores in checking.mapping(
                metrics.get("constants") or {}
            ).items()
        },
        metrics=metrics,
        history={
            name: checking.numbers(values) for name, values in history.items()
        },
        weights=weights,
        weight_steps=steps,
        conflicts=conflicts,
        losses=checking.losses(content.get("losses"), tasks),
        facts={
            **{name: content.get(name) for name in names},
            "learning_rate": config.get("learning_rate"),
            "versions": checking.mapping(content.get("versions") or {}),
        },
    )


def _scores(metrics, key, tasks):
    """Returns the metrics of each task: several, or the one of `key`."""
    by_task = metrics[f"{key}_by_task"]
    alone = {task: {key: by_task[task]} for task in tasks}
    return _metrics_of(checking.mapping(metrics.get("scores") or alone), tasks)


def _metrics_of(given, tasks):
    return {
        task: {
            name: checking.number(value)
            for name, value in checking.mapping(given[task]).items()
        }
        for task in tasks
    }
