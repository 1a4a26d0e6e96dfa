"""Multi-objective gradients with double sampling."""

import keras
import tensorflow as tf

from keras_mtl.checks import above, at_least
from keras_mtl.weighters.gradient_weighter import GradientWeighter
from keras_mtl.weighters.scopes import Scope
from keras_mtl.weighters.shares import (
    add_shares,
    move_shares,
    projected_shares,
)


@keras.saving.register_keras_serializable(package="keras_mtl")
class MoDo(GradientWeighter):
    """Weights that move towards a step that harms no task, without its bias.

    In each step the weights take one projected gradient step on the squared
    length of the combined gradient. That of the even rows meets that of the
    odd ones, so that the noise of a batch has no part in it. LibMTL reads three
    batches a step for that.

    Example:

    >>> MoDo(step_size=0.1, regularization=0.0)(
    ...     split_gramian=[[1.0, 0.0], [0.0, 3.0]]
    ... )  # -> [0.55, 0.45]

    Args:
        step_size: Float, above 0, the paper's `gamma`, in parameters per
            squared loss: gradients of another scale need another one.
        regularization: Float, at least 0, the paper's `rho`. Pulls the weights
            together.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`; the representation has no rows for the halves to meet.

    Call arguments:
        split_gramian: `(K, K)` float32, row i, column j: inner product of
            task i's gradient on the even rows and task j's on the odd ones.
            Not symmetric.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0 and comes back with what it had.

    Returns:
        `(K,)` float32 weights, non-negative, summing to 1.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Chen et al., 2023](https://arxiv.org/abs/2305.20057)
    """

    scales_heads = False
    default_scope = "shared"

    def __init__(
        self,
        step_size: float = 1e-3,
        regularization: float = 0.1,
        scope: Scope | None = None,
        **kwargs,
    ):
        super().__init__(scope=scope, **kwargs)
        self.step_size = above("step_size", step_size, 0.0)
        self.regularization = at_least("regularization", regularization, 0.0)

    def build(self, split_gramian_shape):
        """Creates the shares of the tasks."""
        self.shares = add_shares(self, split_gramian_shape[0])

    def call(self, split_gramian, present=None):
        """Moves the shares and returns them."""
        gramian = tf.cast(split_gramian, tf.float64)

        def move(shares, seen):
            gradient = tf.linalg.matvec(gramian, shares)
            gradient += self.regularization * shares
            return projected_shares(shares - self.step_size * gradient, seen)

        return tf.cast(move_shares(self.shares, present, move), tf.float32)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {
            "step_size": self.step_size,
            "regularization": self.regularization,
        }
        return {**super().get_config(), **own}
