"""A comparison from its plan to the files of its cells."""

import os
from pathlib import Path

from keras_mtl.checks import integer
from keras_mtl.comparisons.cells import parse_sweeps, plan
from keras_mtl.comparisons.folder import ComparisonFolder, command_line
from keras_mtl.comparisons.methods import METHODS, check_methods
from keras_mtl.comparisons.progress import ComparisonProgress
from keras_mtl.comparisons.running import Job, run_jobs
from keras_mtl.comparisons.search import best_rates, search_cells
from keras_mtl.experiments import experiment_class, make_experiment

# Settings in which the cells of a comparison differ.
OF_CELLS = ("weighter", "weighter_arguments", "seed")


def compare(
    experiment,
    methods,
    out,
    console,
    seeds=1,
    settings=None,
    sweeps=(),
    search=False,
    jobs=1,
    threads=None,
):
    """Runs every method with every seed; what is done is not done again.

    Args:
        experiment: Name of an experiment.
        methods: List of names of methods; all that can run where empty.
        out: String, the folder.
        console: `rich.console.Console`.
        seeds: Integer, number of seeds, from 0 on.
        settings: Dict, settings of the experiment that all runs share.
        sweeps: List of strings `parameter=value,value`.
        search: Boolean. Whether each method gets the learning rate that is
            best on the validation rows of the first seed.
        jobs: Integer, number of processes.
        threads: Integer, threads of each; by default they share the
            processor.

    Returns:
        `(folder, cells, failed)`: the `ComparisonFolder`, the cells asked for,
        and those that failed.

    Raises:
        ValueError: If an argument is not usable, or the folder holds another
            comparison.
    """
    integer("seeds", seeds, 1)
    integer("jobs", jobs, 1)
    if threads is None:
        threads = max(1, (os.cpu_count() or 1) // jobs)
    integer("threads", threads, 1)
    kind = experiment_class(experiment)
    methods = check_methods(methods, kind)
    sweeps = parse_sweeps(sweeps, methods)
    common = make_experiment(experiment, **(settings or {}))
    if search and common.monitor is None:
        raise ValueError(
            f"--search chooses by validation rows; {experiment!r} has none."
        )
    for name in settings or {}:
        of_methods = {n for m in methods for n in METHODS[m].settings}
        if name in (*OF_CELLS, *of_methods):
            raise ValueError(
                f"The setting {name!r} is the methods' own. Leave it out, or "
                "use `keras-mtl train`."
            )
    asked = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in (settings or {}).items()
    }
    cells = plan(methods, seeds, sweeps)
    for cell in cells:  # Bad settings are told before anything runs.
        make_experiment(experiment, **cell.settings(asked))
    folder = ComparisonFolder(out)
    described = {
        "experiment": kind.name,
        "score": kind.score._asdict(),
        "settings": {
            name: value
            for name, value in common.config().items()
            if name not in OF_CELLS
        },
        "search": search,
        "methods": methods,
        "seeds": seeds,
        "sweeps": sweeps,
        "cells": [cell.name for cell in cells],
        "command": command_line(),
    }

    def run(folder, cells, rates, test=True):
        pending = [
            Job(
                folder,
                cell,
                kind,
                {**cell.settings(asked), **rates.get(cell.method, {})},
                threads,
                test,
            )
            for cell in cells
            if not folder.finished(cell)
        ]
        with ComparisonProgress(console, len(pending)) as progress:
            return run_jobs(pending, jobs, progress)

    with folder.opened(described):
        rates = {}
        if search:
            searched = folder.part("search")
            run(searched, search_cells(methods), {}, test=False)
            best = best_rates(searched, methods)
            rates = {m: {"learning_rate": rate} for m, rate in best.items()}
        failed = run(folder, cells, rates)
    return folder, cells, [job.cell for job in failed]
