"""A comparison from its plan to the files of its cells."""

import os
from pathlib import Path

from keras_mtl.checks import integer
from keras_mtl.lab.comparisons.cells import (
    Cell,
    parse_sweeps,
    plain_values,
    plan,
)
from keras_mtl.lab.comparisons.folder import ComparisonFolder
from keras_mtl.lab.comparisons.methods import (
    ALL,
    METHODS,
    check_methods,
    with_architectures,
)
from keras_mtl.lab.comparisons.progress import ComparisonProgress
from keras_mtl.lab.comparisons.running import ExperimentJob, run_jobs
from keras_mtl.lab.comparisons.search import (
    choose_rates,
    chosen_rates,
    search_cells,
)
from keras_mtl.lab.experiments import experiment_class, make_experiment

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
    architectures=(),
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
        architectures: List of the experiment's architectures, each to run
            with each of the methods that are weighters, `uniform` by default.

    Returns:
        `(folder, cells, failed)`: the `ComparisonFolder`, the cells asked for,
        and a dict from the runs that failed to their errors.

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
    if architectures:
        if list(methods) == [ALL]:
            methods = check_methods(methods, kind)
        methods = with_architectures(methods, architectures, kind)
    by_default = list(methods) in ([], [ALL])
    methods = check_methods(methods, kind)
    sweeps = parse_sweeps(sweeps, methods, kind)
    given = dict(settings or {})
    common = make_experiment(experiment, **given)
    if search and common.monitor is None:
        raise ValueError(
            f"--search chooses by validation rows; {experiment!r} has none."
        )
    _check_settings(given, search)
    asked = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in given.items()
    }

    def experiment_of(cell):
        return make_experiment(experiment, **cell.settings(asked))

    if by_default:
        methods = _able(methods, experiment_of, console)
    defaults = plain_values(sweeps, methods, experiment_of)
    cells = plan(methods, seeds, sweeps, defaults)
    for cell in cells:  # Bad settings are told before anything runs.
        experiment_of(cell)
    folder = ComparisonFolder(out)
    shared = common.config()
    for name in (*OF_CELLS, *(("learning_rate",) if search else ())):
        shared.pop(name)
    described = {
        "experiment": kind.name,
        "score": kind.score._asdict(),
        "higher_is_better": kind.higher_is_better,
        "settings": shared,
        "search": search,
        "methods": methods,
        "seeds": seeds,
        "sweeps": sweeps,
        "plain_values": defaults,
        "cells": [cell.name for cell in cells],
    }
    failed = {}

    def run(folder, cells, rates, test=True):
        pending = []
        for cell in cells:
            own = {**cell.settings(asked), **rates.get(cell.method, {})}
            folder.check_config(
                cell, make_experiment(experiment, **own).config()
            )
            if not folder.finished(cell):
                pending.append(
                    ExperimentJob(folder, cell, kind, own, threads, jobs, test)
                )
        with ComparisonProgress(console, len(pending)) as progress:
            for job in run_jobs(pending, jobs, progress):
                failed[job.name] = job.error

    with folder.opened(described):
        rates, able = {}, cells
        if search:
            searched = folder.part("search")
            known = chosen_rates(searched)
            missing = [name for name in methods if name not in known]
            run(searched, search_cells(missing), {}, test=False)
            best = choose_rates(searched, methods)
            rates = {m: {"learning_rate": rate} for m, rate in best.items()}
            able = [cell for cell in cells if cell.method in rates]
            for cell in cells:
                if cell.method not in rates:
                    failed[cell.name] = folder.fail(
                        cell, "no run of the search of its learning rate ended"
                    )
        run(folder, able, rates)
    return folder, cells, failed


def _able(methods, experiment_of, console):
    """Returns the methods that go with the settings; says why others do not."""
    found = []
    for method in methods:
        try:
            experiment_of(Cell(method, 0))
        except ValueError as error:
            console.print(f"Left out: {method}: {error}", markup=False)
        else:
            found.append(method)
    return found


def _check_settings(given, search):
    own = {name for method in METHODS.values() for name in method.settings}
    for name in given:
        if name in (*OF_CELLS, *own):
            raise ValueError(
                f"The setting {name!r} is the methods' own. Leave it out, or "
                "use `keras-mtl train`."
            )
    if search and "learning_rate" in given:
        raise ValueError(
            "--search chooses the learning rate. Leave the setting "
            "'learning_rate' out, or --search."
        )
