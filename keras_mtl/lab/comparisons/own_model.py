"""Weighters compared on a model and data of one's own."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from keras_mtl.checks import integer, need
from keras_mtl.lab.comparisons.cells import Cell
from keras_mtl.lab.comparisons.folder import ComparisonFolder
from keras_mtl.lab.comparisons.methods import BASELINE, SINGLE_TASK
from keras_mtl.lab.comparisons.own_data import is_set, parts_of
from keras_mtl.lab.comparisons.own_methods import by_architecture, named
from keras_mtl.lab.comparisons.running import run_jobs
from keras_mtl.lab.comparisons.scores import SCORE_KEY, parse_metrics
from keras_mtl.lab.comparisons.trial import (
    Trial,
    check_data,
    check_made,
    check_weighter,
    optimizer_of,
)
from keras_mtl.lab.comparisons.trial_jobs import TrialJob, check_sendable

if TYPE_CHECKING:
    from keras_mtl.lab.comparisons.report.reading import Comparison


def compare(
    make_model: Callable[..., keras.Model],
    data: Mapping[str, Any] | Sequence,
    weighters: Iterable | Mapping[str, Any] = ("uniform", "slaw"),
    architectures: Sequence[str] | None = None,
    baseline: str = BASELINE,
    single_task: bool = False,
    seeds: int = 3,
    epochs: int = 10,
    batch_size: int = 32,
    metric: str | Sequence[str] | Mapping[str, Any] | None = None,
    higher_is_better: Mapping[str, bool] | None = None,
    query_split: float = 0.1,
    out: str | Path = "runs/comparison",
    jobs: int = 1,
    verbose: bool = True,
    **fit_arguments,
) -> "Comparison":
    """Trains a model with several weighters and seeds, and writes a report.

    A run is scored at its best epoch: the one whose validation metrics have
    the largest mean relative change against the first epoch. Runs that are
    finished in `out` are not repeated; a second call goes on where the first
    one ended. `out/report/index.html` has means with intervals over seeds,
    paired differences to the baseline, Δm, costs, weights and curves.

    Example:

    >>> def make_model(seed):
    ...     model = keras_mtl.MultiTaskModel(encoder(), heads())
    ...     model.compile("adam", loss=losses, metrics={"tone": ["accuracy"]})
    ...     return model
    >>> keras_mtl.compare(
    ...     make_model,
    ...     {"train": (x, y), "validation": (x_val, y_val)},
    ...     weighters=["uniform", "slaw", weighters.MGDA(normalize="l2")],
    ...     metric={"tone": "accuracy", "age": "loss"},
    ... )

    Args:
        make_model: Function from a seed (integer) to a compiled
            `MultiTaskModel` with optimizer, losses and metrics, new at each
            call. Keras' random seed is set before it is called.
        data: Dict of `train`, `validation` and, if wanted, `test` and
            `query`: tuples `(x, y)` or `(x, y, sample_weight)` of arrays, or
            data sets (`tf.data.Dataset` or `PyDataset`). Or the pair
            `(train, validation)`. Without `test`, runs
            are scored on the validation rows that also chose the epoch, which
            flatters all methods alike.
        weighters: List of names, config dicts or instances; or a dict from
            names that you choose to these.
        architectures: List of names that you choose, each to run with each of
            the weighters; `make_model(seed, name)` then makes the model. With
            the first one, methods are called like their weighters, with the
            others `name+weighter`. `None` for a single model.
        baseline: String, the method that others are compared with.
        single_task: Boolean, whether to train each task alone too, for Δm.
        seeds: Integer, runs of each method.
        epochs: Integer.
        batch_size: Integer; data sets have batches of their own.
        metric: Name of a metric, as in the columns `<task>_<metric>` of
            History, or a list of names; or a dict of these by task. The
            task's loss by default. Tables and pictures show the first, Δm
            counts all.
        higher_is_better: Dict from the name of a metric to a boolean, where
            the name does not tell ("loss", "mae", ... are better when lower).
        query_split: Float, share of the training rows for weighters that
            learn from query data, where `data` has no `query`.
        out: String, the folder to write to.
        jobs: Integer, runs at a time. With more than one, each is a separate
            process; `make_model` must then be a function of a module that can
            be imported, and the data must be arrays.
        verbose: Boolean, whether to show progress and a table.
        **fit_arguments: Further arguments of `fit`, such as `class_weight`.

    Returns:
        `Comparison`: the finished runs, as the report reads them.

    Raises:
        ValueError: If an argument is not usable, before anything is trained.
            A run that fails later is among the `troubles` of the result.

    Reference:
        - [Maninis et al., 2019](https://arxiv.org/abs/1904.08918), for Δm
    """
    need("compare", ("matplotlib", "scipy", "rich"), "report")
    from rich.console import Console

    from keras_mtl.lab.comparisons.progress import ComparisonProgress
    from keras_mtl.lab.comparisons.report.page import write_report
    from keras_mtl.lab.comparisons.report.reading import read_comparison
    from keras_mtl.lab.comparisons.table import score_table

    console = Console(quiet=not verbose)
    seeds, jobs = integer("seeds", seeds, 1), integer("jobs", jobs, 1)
    methods = by_architecture(named(weighters), architectures)
    if baseline not in methods:
        raise ValueError(
            f"The baseline {baseline!r} is none of the weighters compared. "
            f"Weighters: {list(methods)}. Add it, or pass another baseline."
        )
    _check_fit_arguments(fit_arguments)
    parts = parts_of(data)
    kinds = dict.fromkeys(kind for kind, _ in methods.values())
    models = {kind: check_made(make_model, 0, kind) for kind in kinds}
    first = models[next(iter(kinds))]
    metrics = parse_metrics(metric, higher_is_better, first.task_names)
    query = {"query_split": query_split}
    if parts["query"] is not None:
        query = {"query_data": parts["query"]}
    of_arrays = not is_set(parts["train"])
    trial = Trial(
        make_model=make_model,
        train=parts["train"],
        validation=parts["validation"],
        test=parts["test"],
        epochs=integer("epochs", epochs, 1),
        batch_size=integer("batch_size", batch_size, 1) if of_arrays else None,
        metrics=metrics,
        query=query,
        fit_arguments=fit_arguments,
        optimizer=optimizer_of(first),
        architecture=next(iter(kinds)),
    )
    for model in models.values():
        check_data(model, trial)
    for name, (kind, config) in methods.items():
        check_weighter(name, config, models[kind], trial)
    trials = {
        kind: dataclasses.replace(
            trial, architecture=kind, optimizer=optimizer_of(model)
        )
        for kind, model in models.items()
    }
    if jobs > 1:
        check_sendable(trial)
    names = [*([SINGLE_TASK] if single_task else []), *methods]
    cells = [Cell(name, seed) for seed in range(seeds) for name in names]
    folder = ComparisonFolder(out)
    threads = max(1, (os.cpu_count() or 1) // jobs)
    alone = (trial.architecture, named([BASELINE])[BASELINE])
    methods[SINGLE_TASK] = alone
    with folder.opened(_described(trial, names, seeds, cells, baseline)):
        pending = []
        for cell in cells:
            kind, config = methods[cell.method]
            own = trials[kind]
            folder.check_config(cell, own.config(config, cell.seed))
            if not folder.finished(cell):
                alone = cell.method == SINGLE_TASK
                pending.append(
                    TrialJob(folder, cell, own, config, alone, threads, jobs)
                )
        with ComparisonProgress(console, len(pending)) as progress:
            failed = run_jobs(pending, jobs, progress)
    comparison = read_comparison(folder.path)
    page, sentence = write_report(comparison, folder.path / "report")
    console.print(score_table(folder, cells))
    for job in failed:
        console.print(f"Failed: {job.name}: {job.error}", markup=False)
    console.print(f"{sentence}\nReport: {page}", markup=False, soft_wrap=True)
    return comparison


# Arguments of `fit` that are the comparison's own, and where they go.
OF_COMPARE = {
    **dict.fromkeys(("x", "y"), "data['train']"),
    **dict.fromkeys(
        ("validation_data", "validation_split"), "data['validation']"
    ),
    "query_data": "data['query']",
    "weighter": "weighters=[...]",
    "verbose": "verbose=True or False",
    "callbacks": "nothing: it has its own",
}


def _check_fit_arguments(given):
    for name in given:
        if name in OF_COMPARE:
            raise ValueError(
                f"Argument `{name}` of fit() is the comparison's own. Instead "
                f"of it compare() takes {OF_COMPARE[name]}."
            )


def _described(trial, names, seeds, cells, baseline) -> dict:
    """Returns the content of `compare.json`."""
    metrics = trial.metrics
    first = {task: of[0] for task, of in metrics.by_task.items()}
    kinds = dict.fromkeys(first.values())
    where = "validation" if trial.test is None else "test"
    label = next(iter(kinds)) if len(kinds) == 1 else "first metric of a task"
    better = [metrics.higher_is_better[name] for name in kinds]
    shared = trial.config(None, None)
    return {
        "experiment": Path(trial.make_model.__module__).name,
        "score": {
            "key": SCORE_KEY,
            "label": f"{where} {label}",
            "unit": "",
            "factor": 1.0,
            "higher_is_better": all(better),
        },
        "baseline": baseline,
        "higher_is_better": metrics.higher_is_better,
        "settings": {
            n: v
            for n, v in shared.items()
            if n not in ("weighter", "seed", "architecture", "optimizer")
        },
        "search": False,
        "methods": names,
        "seeds": seeds,
        "sweeps": {},
        "plain_values": {},
        "cells": [cell.name for cell in cells],
    }
