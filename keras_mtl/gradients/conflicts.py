"""How far the tasks' gradients point against each other."""

import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.data.labels import of_batch
from keras_mtl.gradients.per_task import TaskGradients
from keras_mtl.precision import loss_scale


class Conflicts(NamedTuple):
    """The angles between the gradients of all pairs of tasks.

    Args:
        mean_cosine: Float, mean cosine over the pairs.
        negative_share: Float, share of the pairs whose cosine is below 0.
    """

    mean_cosine: float
    negative_share: float


def gradient_conflicts(gramian) -> Conflicts:
    """Returns the conflicts that a Gramian tells of.

    A task without a gradient has no angle; its pairs are left out.

    Example:

    >>> gradient_conflicts([[1.0, -1.0], [-1.0, 4.0]])
    Conflicts(mean_cosine=-0.5, negative_share=1.0)

    Args:
        gramian: `(K, K)` array, inner products of the tasks' gradients.

    Returns:
        `Conflicts`; both NaN where no pair is left or a number is not finite.
    """
    gramian = np.asarray(gramian, "float64")
    norms = np.sqrt(np.maximum(np.diag(gramian), 0.0))
    first, second = np.triu_indices(len(gramian), k=1)
    left = (norms[first] != 0.0) & (norms[second] != 0.0)
    first, second = first[left], second[left]
    if not len(first) or not np.all(np.isfinite(gramian)):
        return Conflicts(math.nan, math.nan)
    cosines = gramian[first, second] / norms[first] / norms[second]
    # Rounding may leave more than a cosine can be.
    mean = float(np.mean(np.clip(cosines, -1.0, 1.0)))
    return Conflicts(mean, float(np.mean(cosines < 0.0)))


class ConflictMeter:
    """Measures the conflicts of a model's tasks on one fixed batch.

    The gradients are those of the shared variables, as in inference: dropout
    is off, and no state changes.

    Args:
        model: A built and compiled `MultiTaskModel`.
        data: Tuple `(x, y)` or `(x, y, sample_weight)` of arrays, as `fit`
            takes them.

    Raises:
        ValueError: If the batch does not match the model's tasks.
    """

    def __init__(self, model, data):
        if not isinstance(data, tuple | list) or len(data) not in (2, 3):
            raise ValueError(
                "The batch to measure conflicts on must be a tuple (x, y) or "
                f"(x, y, sample_weight). Received: {type(data).__name__}"
            )
        batch = keras.tree.map_structure(_array, of_batch(model, data))
        self._batch = (*model.arrangement.check_batch(batch),)
        self._defined = len(model.task_names) > 1

        # XLA would compile for minutes what is measured once in an epoch.
        @tf.function(autograph=False, jit_compile=False)
        def gramian(batch):
            scale = loss_scale(model.optimizer)
            arguments = {"scale": scale, "scope": "shared"}
            gradients = TaskGradients(model, batch, training=False, **arguments)
            return gradients.gramian("shared")

        self._gramian = gramian

    def __call__(self) -> Conflicts:
        """Returns the conflicts at the model's present parameters.

        Both are NaN for a single task.
        """
        if not self._defined:
            return Conflicts(math.nan, math.nan)
        return gradient_conflicts(self._gramian(self._batch))


def _array(leaf):
    if leaf is None:
        return None
    leaf = np.asarray(leaf)
    floating = leaf.dtype.kind == "f"
    return leaf.astype(keras.config.floatx()) if floating else leaf
