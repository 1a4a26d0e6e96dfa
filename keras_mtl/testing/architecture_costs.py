"""How an architecture grows with its tasks, and how large it starts."""

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.testing.architecture_trial import close
from keras_mtl.testing.trial import ConformanceError

# Of each further task, where all representations are one tensor.
MOST_STACKED_OPERATIONS = 8
# How much more of the graph a task may take where there are more of them.
MOST_GROWTH = 1.25
# Of the variance of one expert alone, that of the experts in the cut.
LEAST_VARIANCE, MOST_VARIANCE = 0.3, 3.0


def check_cost(trial):
    """Each further task takes no more operations than the ones before."""
    names = [f"task_{number}" for number in range(6)]
    counts = [_operations(trial.encoder(names[:k]), trial) for k in (2, 4, 6)]
    first, second = np.diff(counts) / 2.0
    if second > MOST_GROWTH * first + 1.0:
        raise ConformanceError(
            f"the graph grows faster than the tasks: {counts} operations for "
            "2, 4 and 6 of them. Compute what tasks have in common in shared()"
        )
    if not trial.encoder(names[:2]).can_stack:
        return
    counts = []
    for number in (2, 6):
        encoder = trial.encoder(names[:number])
        encoder.stack()
        counts.append(_operations(encoder, trial))
    growth = (counts[1] - counts[0]) / 4.0
    if growth > MOST_STACKED_OPERATIONS:
        raise ConformanceError(
            f"stacked, each further task takes {growth:g} operations (at most "
            f"{MOST_STACKED_OPERATIONS}). Compute own_all() in products of all "
            "tasks"
        )


def check_gates(encoder, inputs):
    """Weights of experts are float32 in any precision, and sum to 1."""
    if not hasattr(encoder, "gate_weights"):
        return
    gates = encoder.gate_weights(inputs)
    for task, weights in gates.items():
        found = keras.backend.standardize_dtype(weights.dtype)
        if found != "float32":
            raise ConformanceError(
                f"the gate of task {task!r} is {found} in mixed_float16. "
                "Compute its softmax in float32"
            )
        close(
            tf.reduce_sum(weights, axis=-1),
            np.ones(weights.shape[:-1]),
            1e-5,
            f"the sum of the gate of task {task!r}",
        )


def check_variance(trial):
    """Experts in the cut start about as large as one does alone."""
    if trial.expert is None:
        return
    encoder = trial.model().encoder
    if not encoder.has_cut:
        return
    keras.utils.set_random_seed(8)
    one = trial.expert()(trial.inputs)
    cut = encoder.shared(keras.tree.map_structure(tf.constant, trial.inputs))
    for leaf in keras.tree.flatten(cut):
        bank = len(leaf.shape) == len(one.shape) + 1
        if not bank or leaf.shape[-1] != one.shape[-1]:
            continue
        ratio = float(np.var(leaf)) / float(np.var(one))
        if not LEAST_VARIANCE <= ratio <= MOST_VARIANCE:
            raise ConformanceError(
                f"experts {tuple(leaf.shape)} start with {ratio:.2g} times the "
                "variance of one alone. Draw each kernel for itself: a stack "
                "has another fan"
            )
        _expect_apart(np.moveaxis(np.asarray(leaf), 1, 0))


def _expect_apart(experts):
    for number, expert in enumerate(experts):
        for other in range(number):
            if np.ptp(expert) and np.allclose(expert, experts[other]):
                raise ConformanceError(
                    f"experts {other} and {number} start equal, and stay "
                    "nearly equal. Draw each kernel for itself"
                )


def _operations(encoder, trial):
    """Returns how many operations a forward pass takes in the graph."""
    encoder(trial.inputs)
    specs = keras.tree.map_structure(
        lambda a: tf.TensorSpec((None, *a.shape[1:]), a.dtype), trial.inputs
    )
    traced = tf.function(lambda x: encoder(x), autograph=False)
    return len(traced.get_concrete_function(specs).graph.get_operations())
