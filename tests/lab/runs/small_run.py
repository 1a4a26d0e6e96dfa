"""Trains a small experiment; run by `test_resume.py` in processes to kill.

Usage: small_run.py OUT [kill|interrupt|full EPOCH], or OUT later SECONDS, to be
killed that long after training was asked for.
"""

import dataclasses
import os
import resource
import signal
import sys
import threading
import time

import keras
import numpy as np
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.lab.experiments.classification import ClassificationExperiment
from keras_mtl.lab.experiments.parts import Parts
from keras_mtl.lab.runs.running import train


def new_rows(rng, counts, wrong):
    """Returns inputs and labels by task, a share of the labels wrong."""
    x, y = {}, {}
    for task, count in counts.items():
        x[task] = rng.normal(size=(count, 4)).astype("float32")
        flipped = rng.permutation(count) < wrong * count
        y[task] = ((x[task][:, 0] > 0) ^ flipped).astype("int32")
    return x, y


@dataclasses.dataclass(frozen=True, kw_only=True)
class SmallExperiment(ClassificationExperiment):
    """Separate inputs, dropout, query data and a choice of epoch."""

    name = "small"
    separate = True
    monitor = "accuracy"
    jit_compile = False

    weighter: str = "meta_weighting"
    epochs: int = 5
    batch_size: int = 8

    def load(self):
        rng = np.random.default_rng(self.seed)
        # No model is as good on the test rows as on those that choose it.
        return Parts(
            train=new_rows(rng, {"a": 50, "b": 30}, wrong=0.1),
            validation=new_rows(rng, {"a": 40, "b": 20}, wrong=0.1),
            test=new_rows(rng, {"a": 60, "b": 25}, wrong=0.4),
            files={"f": "!"},
        )

    def packages(self):
        return ("rich",)

    def build(self, parts):
        inputs = hidden = keras.Input((4,))
        hidden = keras.layers.Dense(8, activation="tanh")(hidden)
        hidden = keras.layers.Dropout(0.5)(hidden)
        heads = {t: keras.layers.Dense(2, "softmax") for t in parts.train[1]}
        return MultiTaskModel(keras.Model(inputs, hidden), heads)


class Break(keras.callbacks.Callback):
    """Breaks the run in the middle of an epoch.

    Args:
        how: `"kill"`, `"interrupt"`, or `"full"`: no file can grow beyond
            2,000 bytes.
        epoch: Integer, from 0.
    """

    def __init__(self, how, epoch):
        super().__init__()
        self._how, self._epoch = how, epoch

    def on_epoch_begin(self, epoch, logs=None):
        self._now = epoch == self._epoch

    def on_train_batch_end(self, batch, logs=None):
        if not self._now or batch != 2:
            return
        if self._how == "full":
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))
        else:
            # Whoever started the tests may have interrupts ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sent = {"kill": signal.SIGKILL, "interrupt": signal.SIGINT}
            os.kill(os.getpid(), sent[self._how])


def kill_later(seconds):
    """Kills this process, wherever it is then."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL))
    timer.daemon = True
    timer.start()


def by_command_line(out, callback):
    """Trains as `keras-mtl train` does, with a callback more."""
    from keras_mtl.lab import cli, experiments
    from keras_mtl.lab.runs import progress

    class Progress(progress.EpochProgress):
        def on_train_batch_end(self, batch, logs=None):
            callback.on_train_batch_end(batch)

        def on_epoch_begin(self, epoch, logs=None):
            callback.on_epoch_begin(epoch)

    progress.EpochProgress = Progress
    experiments.make_experiment = lambda *_, **__: SmallExperiment()
    sys.argv[1:] = ["train", "topics", "--out", out, "--resume"]
    cli.app()


def main(out, how=None, when="0"):
    """Trains, resuming what is there."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    if how in ("interrupt", "full"):
        by_command_line(out, Break(how, int(when)))
        return
    callbacks = [Break(how, int(when))] if how == "kill" else []
    began = time.monotonic()
    if how == "later":
        kill_later(float(when))
    train(SmallExperiment(), out, True, callbacks, save_seconds=0.0)
    print(time.monotonic() - began)


if __name__ == "__main__":
    main(*sys.argv[1:])
