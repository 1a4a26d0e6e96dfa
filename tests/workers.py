"""One of several workers that train in step: a process of its own.

Its job is JSON, the only argument. It writes its results, a NumPy archive for
each trial; a backup is of the first.
"""

import contextlib
import json
import pathlib
import sys
import time

import numpy as np

from tests import warm

SECONDS = 1200


@contextlib.contextmanager
def started(num_workers, job):
    """Starts workers on a job; yields the processes, and ends them."""
    from keras_mtl.lab.runs.workers import cluster_configs

    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                warm.Script(
                    "-m",
                    "tests.workers",
                    json.dumps(job),
                    environment={"TF_CONFIG": config},
                )
            )
            for config in cluster_configs(num_workers)
        ]


def results(num_workers, job):
    """Returns the results of a job: for each worker, those of its trials."""
    with started(num_workers, job) as processes:
        for process in processes:
            code, errors = process.finish(SECONDS)
            assert code == 0, errors
    folder = pathlib.Path(job["folder"])
    return [
        [
            dict(np.load(folder / f"{k}_{n}.npz"))
            for n in range(len(job["trials"]))
        ]
        for k in range(num_workers)
    ]


def main():
    """Runs the trials of a job."""
    job = json.loads(sys.argv[1])
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(2)
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    number = strategy.cluster_resolver.task_id
    folder = pathlib.Path(job["folder"])
    from keras_mtl.callbacks import BackupAndRestore
    from tests.replica_trials import Trial, run

    for n, fields in enumerate(job["trials"]):
        callbacks = []
        if job.get("backup") and n == 0:
            callbacks = [BackupAndRestore(job["backup"]), steps_told(number)]
        found = run(Trial(**fields), strategy, callbacks=callbacks)
        np.savez(folder / f"{number}_{n}.npz", **found)


def steps_told(number):
    """Returns a callback that prints a line for each step, and waits."""
    import keras

    class Told(keras.callbacks.Callback):
        epoch = 0

        def on_epoch_begin(self, epoch, logs=None):
            self.epoch = epoch

        def on_train_batch_end(self, batch, logs=None):
            print(json.dumps([number, self.epoch, batch]), flush=True)
            time.sleep(0.1)

    return Told()


if __name__ == "__main__":
    main()
