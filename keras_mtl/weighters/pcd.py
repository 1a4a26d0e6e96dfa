"""Priority-constrained descent."""

import math

import keras
import tensorflow as tf

from keras_mtl.checks import above, at_least, between
from keras_mtl.solvers import nonnegative_minimum, task_gradients
from keras_mtl.solvers.compiling import one_kernel
from keras_mtl.weighters.gradient_weighter import GradientWeighter
from keras_mtl.weighters.primary import checked_primary, primary_position
from keras_mtl.weighters.scopes import Scope

# Constraints that would need more than this of the main task's length cannot
# be met together: what the ridge lets through is rounding.
LARGEST_SHARE = 1e3


@keras.saving.register_keras_serializable(package="keras_mtl")
class PCD(GradientWeighter):
    """Weights of the nearest update to a main task's that helps the others.

    Every other task is to progress by at least `progress` times what a step
    along its own gradient would give; gradients are first divided by the root
    of their moving mean squared norm, so that their scale does not count. The
    update has the length of the main task's gradient, and is that gradient
    where no other task asks for more, or where they ask for what cannot be.
    The weights combine the shared gradient only; each head gets its task's
    plain gradient.

    Example:

    >>> PCD(progress=0.0)(gramian=[[1.0, -0.6], [-0.6, 1.0]])  # [1.25, 0.75]

    Args:
        primary: The main task's name, or its position, from 0. `None` takes
            the first head.
        progress: Float, at least 0. The paper's `τ`.
        momentum: Float in [0, 1), of the mean squared norms. The paper's `β`.
        epsilon: Float, above 0. Added to the mean squared norms.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`.

    Call arguments:
        gramian: `(K, K)` float32, `gramian[i, j] = <g[i], g[j]>`, in squared
            loss per squared parameter. Positive semi-definite.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0; without the main one, all have.

    Returns:
        `(K,)` float32 weights, non-negative, without a fixed sum; all 0 if the
        main task has no gradient.

    Raises:
        ValueError: If an argument is out of range, or `primary` is no task.

    Reference:
        - [Priority-Constrained Descent, 2026](https://arxiv.org/abs/2606.29521)
    """

    scales_heads = False
    default_scope = "shared"

    def __init__(
        self,
        primary: str | int | None = None,
        progress: float = 0.02,
        momentum: float = 0.999,
        epsilon: float = 1e-8,
        scope: Scope | None = None,
        **kwargs,
    ):
        super().__init__(scope=scope, **kwargs)
        self.primary = checked_primary(primary)
        self.progress = at_least("progress", progress, 0.0)
        self.momentum = between("momentum", momentum, 0.0, 1.0)
        self.epsilon = above("epsilon", epsilon, 0.0)

    def build(self, gramian_shape):
        """Finds the main task, and creates the mean squared norms."""
        size, _ = gramian_shape
        self.main = primary_position(self, size)
        self.steps = self.add_state("steps", (size,))
        self.squares = self.add_state("squares", (size,))

    def call(self, gramian, present=None):
        """Updates the mean squared norms and returns the weights."""
        weights, steps, squares = one_kernel(self._descent)(
            gramian,
            present,
            tf.convert_to_tensor(self.steps),
            tf.convert_to_tensor(self.squares),
        )
        self.steps.assign(steps)
        self.squares.assign(squares)
        return weights

    def _descent(self, gramian, present, steps, squares):
        gradients = task_gradients(gramian, present)
        size = gradients.norms.shape[0]
        steps += tf.cast(gradients.present, tf.float32)
        # The average begins at 0, but stands as if it did not.
        old = tf.cast(squares, tf.float64)
        moved = (1.0 - self.momentum) * (gradients.norms**2 - old)
        moved = old + gradients.present * moved
        mass = tf.ones(size, tf.float64)
        if self.momentum > 0.0:
            log = math.log(self.momentum)
            mass = -tf.math.expm1(tf.cast(steps, tf.float64) * log)
        mean = tf.math.divide_no_nan(moved, mass)
        lengths = gradients.norms / tf.sqrt(mean + self.epsilon)
        main = tf.one_hot(self.main, size, dtype=tf.float64)
        first = lengths[self.main]
        missing = self.progress * lengths - first * gradients.cosines[self.main]
        others = gradients.moving & (main == 0.0)
        missing = tf.where(others, missing, 0.0)
        largest = tf.reduce_max(tf.abs(missing))
        added, _ = nonnegative_minimum(
            gradients.regular_cosines,
            tf.math.divide_no_nan(missing, largest),
            others,
            1e-10,
            20 * int(size),
        )
        added *= largest
        possible = tf.reduce_max(added) <= LARGEST_SHARE * first
        parts = first * main + tf.where(possible, added, 0.0)
        length = gradients.length(parts)
        scale = tf.math.divide_no_nan(gradients.norms[self.main], length)
        weights = gradients.per_norm(scale * parts)
        return (
            tf.cast(weights, tf.float32),
            steps,
            tf.where(
                gradients.present > 0.0, tf.cast(moved, tf.float32), squares
            ),
        )

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {
            "primary": self.primary,
            "progress": self.progress,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
        }
        return {**super().get_config(), **own}
