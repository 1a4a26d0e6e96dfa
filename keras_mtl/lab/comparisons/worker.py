"""Runs one cell of a comparison, in a process of its own.

The job is read from standard input, as JSON; each epoch is a line of JSON on
standard output, and so is the result, the last.
"""

import json
import sys
from typing import Any

import keras
import tensorflow as tf


def main():
    """Runs the job."""
    job = json.load(sys.stdin)
    threads = job["threads"]
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    from keras_mtl.lab.comparisons.single_task import train_single_tasks
    from keras_mtl.lab.comparisons.summary import summary
    from keras_mtl.lab.experiments import make_experiment
    from keras_mtl.lab.runs.running import train

    experiment = make_experiment(job["experiment"], **job["settings"])
    callbacks = [Lines()]
    if job["single_task"]:
        result = train_single_tasks(
            experiment, job["out"], callbacks, job["test"]
        )
    else:
        train(
            experiment,
            job["out"],
            resume=True,
            callbacks=callbacks,
            diagnose=job["test"],
            test=job["test"],
        )
        result = summary(experiment, job["out"])
    tell(result=result)


class Lines(keras.callbacks.Callback):
    """Tells each epoch."""

    params: dict[str, Any]

    def on_epoch_end(self, epoch, logs=None):
        """Writes a line."""
        logs = logs or {}
        tell(
            epoch=epoch + 1,
            epochs=self.params["epochs"],
            loss=float(logs.get("val_loss", logs["loss"])),
        )


def tell(**content):
    """Writes a line of JSON."""
    print(json.dumps(content), flush=True)


if __name__ == "__main__":
    main()
