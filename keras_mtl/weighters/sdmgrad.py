"""Direction-oriented multi-objective gradient descent."""

import keras
import tensorflow as tf

from keras_mtl.checks import at_least
from keras_mtl.solvers import task_gradients
from keras_mtl.weighters.min_norm import MinNormWeighter


@keras.saving.register_keras_serializable(package="keras_mtl")
class SDMGrad(MinNormWeighter):
    """Weights of a step that helps all tasks, pulled towards the mean.

    To every gradient `pull` times the mean gradient is added; the shortest
    convex combination of these is taken. The weights combine the shared
    gradient only; each head gets its task's plain gradient.

    This is what the published inner loop of 20 steps looks for: it stops far
    from it, unless one task takes all.

    Example:

    >>> SDMGrad(pull=1.0)(gramian=keras.ops.diag([1.0, 3.0]))  # [0.75, 0.25]

    Args:
        pull: Float, at least 0. The paper's `λ`. With 0 nothing pulls; with
            a large one the weights are equal.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`.
        **kwargs: `max_iterations` and `tolerance`, as in `MinNormWeighter`.

    Call arguments:
        gramian: `(K, K)` float32, `gramian[i, j] = <g[i], g[j]>`, in squared
            loss per squared parameter. Positive semi-definite.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0.

    Returns:
        `(K,)` float32 weights, non-negative, summing to 1.

    Attributes:
        solver_gap: Float32 scalar variable; see `MinNormWeighter`.
        solver_iterations: Int32 scalar variable.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Xiao et al., 2023](https://arxiv.org/abs/2305.18409)
    """

    scales_heads = False
    default_scope = "shared"

    def __init__(self, pull=0.3, scope=None, **kwargs):
        super().__init__(scope=scope, **kwargs)
        self.pull = at_least("pull", pull, 0.0)

    def build(self):
        """Creates the solver's state."""
        self.add_solver_state()

    def call(self, gramian, present=None):
        """Returns the weights."""
        gradients = task_gradients(gramian, present)
        norms, share = gradients.norms, gradients.share
        # Divided by 1 + pull: the solver's vectors keep their size.
        own = 1.0 / (1.0 + self.pull)
        pull = self.pull * own
        inner = tf.where(gradients.moving, gradients.cosines, 0.0)
        inner *= norms[:, None] * norms
        mean = tf.linalg.matvec(inner, share)
        shifted = own * own * inner + own * pull * (mean[:, None] + mean)
        shifted += pull * pull * tf.reduce_sum(share * mean)
        weights = tf.cast(self.solve(shifted, gradients.present), tf.float64)
        weights = gradients.present * (own * weights + pull * share)
        return tf.cast(weights, tf.float32)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        return {**super().get_config(), "pull": self.pull}
