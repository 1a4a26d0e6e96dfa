"""Made-up signals to drive a weighter with."""

import numpy as np
import tensorflow as tf

from keras_mtl.signals import MODEL_AXES, SIGNALS

EXTREME_FAMILIES = ("zero", "rank_one", "huge", "tiny")
_SCALES = {"tiny": 1e-10, "large": 1e6, "huge": 1e15}
# Losses that move more than rounding can hide, whatever the task.
_TREND = (1.0, 1.6, 0.6, 1.2, 0.8)


def signal_sequence(weighter, num_tasks, families=("random",) * 3):
    """Returns what a weighter asks for, over some training steps.

    The signals of one step belong together: the gradient norms are those of
    the Gramian, losses are positive, and every task is present.

    Example:

    >>> signal_sequence(MGDA(), 2, ["zero"])
    [{"gramian": [[0.0, 0.0], [0.0, 0.0]], "present": [1.0, 1.0]}]

    Args:
        weighter: `Weighter`.
        num_tasks: Integer, the number of tasks K.
        families: One string for each step: `"random"`, `"zero"`, `"rank_one"`
            (parallel gradients, equal losses), `"tiny"` (of the order of
            1e-10), `"large"` (1e6) or `"huge"` (1e15).

    Returns:
        List with a dict of float32 tensors by signal name for each step.
    """
    names = dict.fromkeys((*weighter.needs, *weighter.observes))
    return [
        {
            name: tf.constant(_value(name, num_tasks, step, family), tf.float32)
            for name in names
        }
        for step, family in enumerate(families)
    ]


def model_sizes(num_tasks):
    """Returns the lengths of the axes that are not indexed by task."""
    # As many layers as tasks would pass for an axis of tasks.
    sizes = (2 * num_tasks + 3, 5, num_tasks + 1)
    return dict(zip(MODEL_AXES, sizes, strict=True))


def without_task(signals, task):
    """Returns the signals of a batch that holds no label of one task."""

    def absent(name, value):
        value = value.numpy()
        for axis in _task_axes(name):
            np.moveaxis(value, axis, 0)[task] = 0.0
        return tf.constant(value)

    return {name: absent(name, value) for name, value in signals.items()}


def take_tasks(signals, tasks):
    """Returns the signals of some tasks, in the order of `tasks`."""

    def taken(name, value):
        for axis in _task_axes(name):
            value = tf.gather(value, tasks, axis=axis)
        return value

    return {name: taken(name, value) for name, value in signals.items()}


def _task_axes(name):
    axes = SIGNALS[name].axes
    return [axis for axis, of in enumerate(axes) if of == "task"]


def _value(name, num_tasks, step, family):
    fixed = {
        "present": np.ones(num_tasks),
        "epoch": step,
        "learning_rate": 1e-3,
    }
    if name in fixed:
        return fixed[name]
    rng = np.random.default_rng([num_tasks, step])
    losses = np.random.default_rng(num_tasks).uniform(0.5, 2.0, num_tasks)
    losses *= _TREND[step % len(_TREND)] * rng.uniform(0.95, 1.05, num_tasks)
    query_losses = losses * rng.uniform(0.8, 1.2, num_tasks)
    gradients = rng.normal(size=(num_tasks, 2 * num_tasks + 3))
    gradients *= rng.uniform(0.5, 2.0, (num_tasks, 1))
    query_gradients = gradients + 0.3 * rng.normal(size=gradients.shape)
    other_half = gradients + 0.3 * rng.normal(size=gradients.shape)
    if family == "rank_one":
        losses = query_losses = np.ones(num_tasks)
        gradients = np.outer(1.0 + np.arange(num_tasks), gradients[0])
        query_gradients = other_half = gradients
    layers = np.array_split(gradients, num_tasks + 1, axis=1)
    values = {
        "gramian_by_layer": np.stack([part @ part.T for part in layers]),
        "gradients": gradients,
        "signed_gradients": gradients[:, :5],
        "split_gramian": gradients @ other_half.T,
        "losses_after": losses * rng.uniform(0.9, 1.0, num_tasks),
        "query_losses": query_losses,
        "gradient_norms": np.linalg.norm(gradients, axis=1),
        "query_support_gramian": query_gradients @ gradients.T,
        "query_loss_falls": 1e-3 * query_gradients @ gradients.T,
    }
    by_rank = {0: 1.0, 1: losses, 2: gradients @ gradients.T}
    if name not in values:
        values[name] = by_rank[len(SIGNALS[name].axes)]
    value = values[name]
    return value * (0.0 if family == "zero" else _SCALES.get(family, 1.0))
