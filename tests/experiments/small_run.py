"""Trains a small experiment; run by `test_resume.py` in processes to kill.

Usage: small_run.py OUT [EPOCH], where EPOCH is the one to be killed in.
"""

import dataclasses
import os
import signal
import sys

import keras
import numpy as np
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.experiments.classification import ClassificationExperiment
from keras_mtl.experiments.experiment import Parts
from keras_mtl.experiments.running import train


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
        x = {"a": rng.normal(size=(50, 4)), "b": rng.normal(size=(30, 4))}
        x = {task: rows.astype("float32") for task, rows in x.items()}
        y = {task: (rows[:, 0] > 0).astype("int32") for task, rows in x.items()}
        return Parts((x, y), test=(x, y), validation=(x, y), files={"f": "!"})

    def build(self, parts):
        inputs = hidden = keras.Input((4,))
        hidden = keras.layers.Dense(8, activation="tanh")(hidden)
        hidden = keras.layers.Dropout(0.5)(hidden)
        heads = {t: keras.layers.Dense(2, "softmax") for t in parts.train[1]}
        return MultiTaskModel(keras.Model(inputs, hidden), heads)


class Kill(keras.callbacks.Callback):
    """Kills the process in the middle of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self._epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        self._now = epoch == self._epoch

    def on_train_batch_end(self, batch, logs=None):
        if self._now and batch == 2:
            os.kill(os.getpid(), signal.SIGKILL)


def main(out, epoch=None):
    """Trains, resuming what is there."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    callbacks = [] if epoch is None else [Kill(int(epoch))]
    train(SmallExperiment(), out, True, callbacks, save_seconds=0.0)


if __name__ == "__main__":
    main(*sys.argv[1:])
