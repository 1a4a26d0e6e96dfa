"""The second half of an interrupted run: a process of its own."""

import pathlib
import sys

import numpy as np
import tensorflow as tf

from tests.training import state, step

INTERRUPTED, STEPS = 37, 100


def train(model, start, end):
    """Runs the steps `start` to `end`, each on a batch of its own."""
    for number in range(start, end):
        step(model, number)


def main(folder):
    """Finishes the run of every model saved in `folder`."""
    import keras

    import keras_mtl  # noqa: F401  registers the classes

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    for path in sorted(pathlib.Path(folder).glob("*.keras")):
        model = keras.saving.load_model(path)
        train(model, INTERRUPTED, STEPS)
        np.savez(path.with_suffix(".npz"), **state(model))


if __name__ == "__main__":
    main(sys.argv[1])
