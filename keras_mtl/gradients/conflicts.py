"""How far the tasks' gradients point against each other."""

import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.data.labels import of_batch
from keras_mtl.gradients.task_gradients import TaskGradients
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
    of_pairs = cosines(gramian)[np.triu_indices(len(gramian), k=1)]
    of_pairs = of_pairs[~np.isnan(of_pairs)]
    if not len(of_pairs) or not np.all(np.isfinite(gramian)):
        return Conflicts(math.nan, math.nan)
    return Conflicts(float(np.mean(of_pairs)), float(np.mean(of_pairs < 0.0)))


def cosines(gramian) -> np.ndarray:
    """Returns the `(K, K)` float64 cosines of the tasks' gradients.

    NaN where a task has no gradient.

    Args:
        gramian: `(K, K)` array, inner products of the gradients.
    """
    gramian = np.asarray(gramian, "float64")
    norms = np.sqrt(np.maximum(np.diag(gramian), 0.0))
    norms[norms == 0.0] = math.nan
    # Rounding may leave more than a cosine can be.
    return np.clip(gramian / norms[:, None] / norms, -1.0, 1.0)


class GradientMeter:
    """Measures the gradients of a model's tasks on one fixed batch.

    As in inference: dropout is off, and no state changes.

    Args:
        model: A built and compiled `MultiTaskModel`.
        data: Tuple `(x, y)` or `(x, y, sample_weight)` of arrays, as `fit`
            takes them.
        scope: String, whose gradients.
        by_layer: Boolean, whether to tell the layers apart.

    Raises:
        ValueError: If the batch does not match the model's tasks.
    """

    def __init__(self, model, data, scope="shared", by_layer=False):
        if not isinstance(data, tuple | list) or len(data) not in (2, 3):
            raise ValueError(
                "The batch to measure conflicts on must be a tuple (x, y) or "
                f"(x, y, sample_weight). Received: {type(data).__name__}"
            )
        batch = keras.tree.map_structure(_array, of_batch(model, data))
        self._batch = (*model.arrangement.check_batch(batch),)

        # XLA would compile for minutes what is measured once in an epoch.
        @tf.function(autograph=False, jit_compile=False)
        def measure(batch):
            scale = loss_scale(model.optimizer)
            arguments = {"scale": scale, "scope": scope}
            batch = TaskGradients(model, batch, training=False, **arguments)
            layers = batch.gramians(scope) if by_layer else {}
            return batch.losses, batch.gramian(scope), layers

        self._measure = measure

    def __call__(self):
        """Returns losses `(K,)` and Gramian `(K, K)` at the present parameters.

        And a dict from a layer's path to its share of the Gramian. All are
        arrays.
        """
        losses, gramian, variables = self._measure(self._batch)
        layers = {}
        for path, share in variables.items():
            layer = path.rpartition("/")[0] or path
            layers[layer] = layers.get(layer, 0.0) + share.numpy()
        return losses.numpy(), gramian.numpy(), layers


class ConflictMeter:
    """Measures the conflicts of a model's tasks on one fixed batch.

    The gradients are those of the shared variables.

    Args:
        model: As in `GradientMeter`.
        data: As in `GradientMeter`.
    """

    def __init__(self, model, data):
        self._meter = GradientMeter(model, data)
        self._defined = len(model.task_names) > 1

    def __call__(self) -> Conflicts:
        """Returns the conflicts at the model's present parameters.

        Both are NaN for a single task.
        """
        if not self._defined:
            return Conflicts(math.nan, math.nan)
        return gradient_conflicts(self.gramian())

    def gramian(self) -> np.ndarray:
        """Returns the `(K, K)` inner products of the tasks' gradients."""
        return self._meter()[1]


def _array(leaf):
    if leaf is None:
        return None
    leaf = np.asarray(leaf)
    floating = leaf.dtype.kind == "f"
    return leaf.astype(keras.config.floatx()) if floating else leaf
