"""Multi-task learning as a bargaining game."""

import keras
import tensorflow as tf

from keras_mtl.checks import at_least, integer
from keras_mtl.solvers.fairness import fair_weights
from keras_mtl.weighters.gramian import GramianWeighter
from keras_mtl.weighters.periodic import Periodic
from keras_mtl.weighters.scopes import Scope


@keras.saving.register_keras_serializable(package="keras_mtl")
class NashMTL(Periodic, GramianWeighter):
    """Weights of the update that tasks would agree on by bargaining.

    The weights `a` solve `gramian @ a = 1 / a`: a task's gain is the inverse
    of what it weighs. **The update's length says nothing about the
    gradients'**: its norm is the square root of K always, and at most
    `max_norm` once clipped. The weights are of the order of one over the
    gradients' norms, and the learning rate alone sets the step. The weights
    combine the shared gradient only; each head gets its task's plain gradient.

    The solution is unique and is found by Newton's method; the authors' code
    stops early where norms differ by orders of magnitude, and says nothing.
    With `every=n`, as published, weights hold for n steps, as in
    `Every(NashMTL(), steps=n)`.

    Example:

    >>> NashMTL(max_norm=0.0)(gramian=keras.ops.diag([1.0, 4.0]))  # [1, 0.5]

    Args:
        max_norm: Float, at least 0. Longer updates are shortened to it; 0
            leaves them as they are.
        every: Integer, at least 1, the steps from one measurement to the
            next.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`.

    Call arguments:
        gramian: `(K, K)` float32, `gramian[i, j] = <g[i], g[j]>`, in squared
            loss per squared parameter. Positive semi-definite.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0, and so has one without gradient. With
            `every`, a task absent from a step that measures keeps its weight,
            at first 1.

    Returns:
        `(K,)` float32 weights, non-negative, without a fixed sum.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Navon et al., 2022](https://arxiv.org/abs/2202.01017)
    """

    def __init__(
        self,
        max_norm: float = 1.0,
        every: int = 1,
        scope: Scope | None = None,
        **kwargs,
    ):
        super().__init__(scope=scope, **kwargs)
        self.max_norm = at_least("max_norm", max_norm, 0.0)
        self.every = self.period = integer("every", every, 1)

    def build(self):
        """Creates the count of steps, where weights hold."""
        if self.every > 1:
            self.start_period()

    def call(self, gramian, present=None):
        """Returns the weights, or the latest ones."""
        weights = super().call(gramian, present)
        if self.every == 1:
            return weights
        return self.held(weights, tf.ones_like(weights), present)

    def combine(self, gradients):
        """Returns the `(K,)` float64 weights."""
        weights = fair_weights(gradients, 1.0)
        if not self.max_norm:
            return weights
        length = gradients.length(weights * gradients.norms)
        return weights * tf.minimum(
            tf.math.divide_no_nan(self.max_norm, length), 1.0
        )

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {"max_norm": self.max_norm, "every": self.every}
        return {**super().get_config(), **own}
