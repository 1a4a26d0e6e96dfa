"""Conflict-averse gradient descent."""

import keras
import tensorflow as tf

from keras_mtl.checks import at_least
from keras_mtl.solvers.conflict_averse import conflict_averse_weights
from keras_mtl.weighters.gramian import GramianWeighter
from keras_mtl.weighters.scopes import Scope


@keras.saving.register_keras_serializable(package="keras_mtl")
class CAGrad(GramianWeighter):
    """Weights of the update near the mean gradient that helps the worst task.

    Of all updates whose distance from the mean gradient is at most `radius`
    times its norm, the one whose inner product with the worst-off task's
    gradient is largest. The weights combine the shared gradient only; each
    head gets its task's plain gradient. For a radius below 1 training goes on
    to the optimum of the mean loss, conflicts or not.

    Other implementations return zeros, or stop at their start, where a
    gradient is zero or small; a task without gradient takes no part here
    but in the mean.

    Example:

    >>> CAGrad(0.5)(gramian=[[18.0, -22.0], [-22.0, 38.0]])  # [0.7041, 0.5]

    Args:
        radius: Float, at least 0. The paper's `c`. 0 is the mean gradient; a
            large one gives the direction of the shortest convex combination.
        rescale: Boolean. Divides the weights by `1 + radius ** 2`, as the
            authors' code does; the paper does not.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`.

    Call arguments:
        gramian: `(K, K)` float32, `gramian[i, j] = <g[i], g[j]>`, in squared
            loss per squared parameter. Positive semi-definite.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0.

    Returns:
        `(K,)` float32 weights, non-negative, summing to 1 or more.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Liu et al., 2021](https://arxiv.org/abs/2110.14048)
    """

    def __init__(
        self,
        radius: float = 0.4,
        rescale: bool = False,
        scope: Scope | None = None,
        **kwargs,
    ):
        super().__init__(scope=scope, **kwargs)
        self.radius = at_least("radius", radius, 0.0)
        self.rescale = bool(rescale)

    def combine(self, gradients):
        """Returns the `(K,)` float64 weights."""
        weights = conflict_averse_weights(gradients, self.radius)
        if self.rescale:
            weights /= 1.0 + tf.constant(self.radius, tf.float64) ** 2
        return weights

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {"radius": self.radius, "rescale": self.rescale}
        return {**super().get_config(), **own}
