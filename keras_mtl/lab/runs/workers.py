"""Several processes on this machine that train one experiment in step.

The first worker writes the run's folder. The others do all that it does, in
folders of their own that are thrown away: sums over workers need each of them.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from keras_mtl.checks import integer
from keras_mtl.lab.runs.folder import METRICS, RunFolder

WORKER = (sys.executable, "-m", "keras_mtl.lab.runs.workers")


def train_with_workers(num_workers, experiment, out, resume=False):
    """Trains as `running.train` does, split over local processes.

    Args:
        num_workers: Integer, at least 2. Each trains on its share of every
            batch.
        experiment: `Experiment`.
        out: `Path` of the run's folder.
        resume: Boolean, as in `running.train`.

    Returns:
        Dict, the content of `metrics.json`.

    Raises:
        ValueError: If the folder cannot be used, or a worker failed.
    """
    num_workers = integer("workers", num_workers, 2)
    folder = RunFolder(out, experiment.config(), resume)
    if folder.finished:
        return folder.read(METRICS)
    order = {
        "experiment": experiment.name,
        "settings": dataclasses.asdict(experiment),
        "resume": resume,
    }
    with tempfile.TemporaryDirectory() as rest, contextlib.ExitStack() as stack:
        folders = [Path(rest) / str(k) for k in range(1, num_workers)]
        for other in folders:
            shutil.copytree(out, other)
        folders.insert(0, Path(out))
        processes = [
            stack.enter_context(_worker({**order, "out": str(path)}, config))
            for path, config in zip(
                folders, cluster_configs(num_workers), strict=True
            )
        ]
        _wait(processes)
    return folder.read(METRICS)


def cluster_configs(num_workers):
    """Returns a value of `TF_CONFIG` for each worker on this machine."""
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            for _ in range(num_workers)
        ]
        ports = [server.getsockname()[1] for server in sockets]
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    return [
        json.dumps({"cluster": cluster, "task": {"type": "worker", "index": k}})
        for k in range(num_workers)
    ]


@contextlib.contextmanager
def _worker(order, config):
    """Starts a worker; ends it when the context does."""
    process = subprocess.Popen(
        [*WORKER, json.dumps(order, default=str)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "TF_CONFIG": config},
        # Of an interrupt only the process that waits is to know.
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait(processes):
    codes = [None]
    while None in codes:
        time.sleep(0.2)
        codes = [process.poll() for process in processes]
        failed = [k for k, code in enumerate(codes) if code]
        if failed:
            raise ValueError(
                f"Worker {failed[0]} of {len(processes)} ended with exit code "
                f"{codes[failed[0]]}, and the others were stopped. Its last "
                "checkpoint is there: pass --resume to go on."
            )


def main():
    """Is one worker; its order is JSON, the only argument."""
    order = json.loads(sys.argv[1])
    first = json.loads(os.environ["TF_CONFIG"])["task"]["index"] == 0
    from keras_mtl.distribution import workers_strategy

    # Before anything else runs on TensorFlow.
    strategy = workers_strategy()
    from keras_mtl.lab.experiments import make_experiment
    from keras_mtl.lab.runs.progress import EpochProgress
    from keras_mtl.lab.runs.running import train
    from keras_mtl.lab.terminal import console

    experiment = make_experiment(order["experiment"], **order["settings"])
    progress = [EpochProgress(experiment.weighter, console)] if first else []
    with strategy.scope():
        train(experiment, order["out"], order["resume"], progress)


if __name__ == "__main__":
    main()
