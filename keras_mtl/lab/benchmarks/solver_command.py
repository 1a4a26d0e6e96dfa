"""`keras-mtl bench --solvers`."""

import sys

from rich.console import Console

from keras_mtl.lab.benchmarks.report import WIDTH, write_json
from keras_mtl.lab.benchmarks.solver_report import solver_table
from keras_mtl.lab.benchmarks.solvers import time_solvers

TASKS = (3, 10, 32)


def bench_solvers(tasks, names, repetitions, clock, peers, threads, out):
    """Times solvers and prints a table.

    Args:
        tasks: List of integers, numbers of tasks; `TASKS` where empty.
        names: List of names of weighters; all that ask for the Gramian alone
            where empty.
        repetitions: Integer.
        clock: Key of `timing.CLOCKS`.
        peers: Boolean. Whether to time TorchJD's, too, and to tell residuals.
        threads: Integer; 0 for as many as PyTorch likes.
        out: Path of a JSON file to write, or `None`.
    """
    found = {}
    if peers:
        from keras_mtl.lab.benchmarks.peer_solvers import solver_peers

        found = solver_peers(threads)
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    results = []
    for num_tasks in tasks or TASKS:
        with console.status("") as status:
            result = time_solvers(
                num_tasks,
                names,
                repetitions,
                clock=clock,
                residuals=peers,
                peers=found,
                progress=status.update,
            )
        results.append(result)
        if out:
            write_json(out, results)
    console.print(solver_table(results))
