"""Fair allocation of the tasks' gains."""

import keras

from keras_mtl.checks import at_least
from keras_mtl.solvers.fairness import fair_weights
from keras_mtl.weighters.gramian import GramianWeighter
from keras_mtl.weighters.scopes import Scope


@keras.saving.register_keras_serializable(package="keras_mtl")
class FairGrad(GramianWeighter):
    """Weights that share the gain of an update fairly among the tasks.

    The weights `w` solve `gramian @ w = w ** (-1 / fairness)`: of all updates
    of their length, theirs has the largest sum of the tasks' gains to the
    power of `1 - fairness`, divided by that. A fairness of 1 asks for the
    largest product of gains, as in bargaining; a large one for equal gains.
    The weights combine the shared gradient only; each head gets its task's
    plain gradient.

    The authors' code looks for a least square of the residual, which does not
    move from its start for gradients of 1e-5; this is Newton's method on the
    convex problem.

    Example:

    >>> FairGrad()(gramian=keras.ops.diag([1.0, 4.0]))  # -> [1.0, 0.5]

    Args:
        fairness: Float, at least 0.1. The paper's `α`; its authors use 2.
            Or 0, the mean gradient.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`.

    Call arguments:
        gramian: `(K, K)` float32, `gramian[i, j] = <g[i], g[j]>`, in squared
            loss per squared parameter. Positive semi-definite.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0, and so has one without gradient.

    Returns:
        `(K,)` float32 weights, non-negative, without a fixed sum.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Ban and Ji, 2024](https://arxiv.org/abs/2402.15638)
    """

    def __init__(
        self,
        fairness: float = 1.0,
        scope: Scope | None = None,
        **kwargs,
    ):
        super().__init__(scope=scope, **kwargs)
        # Between, float32 cannot hold the powers.
        self.fairness = at_least("fairness", fairness, 0.1 if fairness else 0.0)

    def combine(self, gradients):
        """Returns the `(K,)` float64 weights."""
        if not self.fairness:
            return gradients.share
        return fair_weights(gradients, self.fairness)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        return {**super().get_config(), "fairness": self.fairness}
