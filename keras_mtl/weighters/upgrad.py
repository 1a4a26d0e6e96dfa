"""Unconflicting projection of gradients."""

import keras
import tensorflow as tf

from keras_mtl.solvers import nonnegative_minima
from keras_mtl.weighters.gramian import PreferenceWeighter


@keras.saving.register_keras_serializable(package="keras_mtl")
class UPGrad(PreferenceWeighter):
    """Weights of the mean of gradients that no longer conflict with any task.

    Each task's gradient is projected onto the cone of those updates that harm
    no task, and the projections are averaged. The weights apply to shared
    variables only; each head gets its task's plain gradient.

    Other implementations regularise the Gramian by 1e-4 of its trace and set
    small Gramians to 0, and so miss this projection by up to half its length.

    Example:

    >>> UPGrad()(gramian=[[18.0, -22.0], [-22.0, 38.0]])  # [1.1111, 0.7895]

    Args:
        preference: List of floats, at least 0, in the order of the heads, or
            dict from task name to float: the weights of the projections in
            their sum. `None` means one over the number of tasks present.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`.

    Call arguments:
        gramian: `(K, K)` float32, `gramian[i, j] = <g[i], g[j]>`, in squared
            loss per squared parameter. Positive semi-definite.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0.

    Returns:
        `(K,)` float32 weights. Without conflicts they are the preferences, and
        none is ever below its preference: by default they sum to 1 or more.

    Raises:
        ValueError: If the preferences are negative or all 0, or do not match
            the tasks.

    Reference:
        - [Quinton and Rey, 2024](https://arxiv.org/abs/2406.16232)
    """

    def combine(self, gradients):
        """Returns the `(K,)` float64 weights."""
        preference = self.preferred(gradients, gradients.share)
        # Row i: what task i's projection takes of the others' unit gradients.
        added = nonnegative_minima(
            gradients.regular_cosines, -gradients.cosines, gradients.moving
        )
        added = tf.linalg.matvec(
            added, preference * gradients.norms, transpose_a=True
        )
        return preference + gradients.per_norm(added)
