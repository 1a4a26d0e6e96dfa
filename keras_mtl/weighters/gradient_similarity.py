"""Auxiliary tasks that count where they agree with the main task."""

import keras
import tensorflow as tf

from keras_mtl.weighters.gramian import GramianWeighter
from keras_mtl.weighters.primary import checked_primary, primary_position
from keras_mtl.weighters.scopes import Scope


@keras.saving.register_keras_serializable(package="keras_mtl")
class GradientSimilarity(GramianWeighter):
    """Weight 1 for a main task and for those that do not point against it.

    The other tasks are there to help the main one: in a step in which a task's
    gradient points against the main task's, it weighs nothing. The weights
    combine the shared gradient only; each head gets its task's plain gradient.

    Example:

    >>> GradientSimilarity()(gramian=[[1.0, -1.0], [-1.0, 4.0]])  # [1, 0]

    Args:
        primary: The main task's name, or its position, from 0. `None` takes
            the first head.
        weighted: Boolean. Weighs each other task by the cosine of its gradient
            and the main task's, where that is above 0.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`.

    Call arguments:
        gramian: `(K, K)` float32, `gramian[i, j] = <g[i], g[j]>`, in squared
            loss per squared parameter. Positive semi-definite.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0; without the main one nothing is against
            the others.

    Returns:
        `(K,)` float32 weights between 0 and 1, without a fixed sum.

    Raises:
        ValueError: If `primary` is no task.

    Reference:
        - [Du et al., 2018](https://arxiv.org/abs/1812.02224)
    """

    as_one_kernel = False

    def __init__(
        self,
        primary: str | int | None = None,
        weighted: bool = False,
        scope: Scope | None = None,
        **kwargs,
    ):
        super().__init__(scope=scope, **kwargs)
        self.primary = checked_primary(primary)
        self.weighted = bool(weighted)

    def build(self, gramian_shape):
        """Finds the main task."""
        self.main = primary_position(self, gramian_shape[0])

    def combine(self, gradients):
        """Returns the `(K,)` float64 weights."""
        cosines = gradients.cosines[self.main]
        # The main task's own cosine is 1.
        if self.weighted:
            return tf.clip_by_value(cosines, 0.0, 1.0)
        return tf.cast(cosines >= 0.0, tf.float64)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {"primary": self.primary, "weighted": self.weighted}
        return {**super().get_config(), **own}
