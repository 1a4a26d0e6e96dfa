"""Direction-oriented multi-objective gradient descent."""

import keras
import tensorflow as tf

from keras_mtl.checks import above, at_least, integer
from keras_mtl.solvers import task_gradients
from keras_mtl.weighters.min_norm import MinNormWeighter
from keras_mtl.weighters.presence import seen_tasks
from keras_mtl.weighters.scopes import Scope
from keras_mtl.weighters.shares import (
    add_shares,
    move_shares,
    projected_shares,
)

MOMENTUM = 0.5


@keras.saving.register_keras_serializable(package="keras_mtl")
class SDMGrad(MinNormWeighter):
    """Weights of a step that helps all tasks, pulled towards the mean.

    To every gradient `pull` times the mean gradient is added; the shortest
    convex combination of these is taken. The weights combine the shared
    gradient only; each head gets its task's plain gradient.

    This is what the published inner loop of 20 steps looks for: it stops far
    from it, unless one task takes all. With `stochastic` it is that loop, on
    inner products of two halves of the batch, in which the noise has no part.

    Example:

    >>> SDMGrad(pull=1.0)(gramian=keras.ops.diag([1.0, 3.0]))  # [0.75, 0.25]

    Args:
        pull: Float, at least 0. The paper's `λ`. With 0 nothing pulls; with
            a large one the weights are equal.
        stochastic: Boolean. Whether the weights move from those of the last
            step, by the published loop, instead of being solved for.
        step_size: Float, above 0, of the loop. Gradients are brought to a mean
            norm of 1.
        steps: Integer, at least 1, of the loop in each training step.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`. The loop cannot read the representation, of which the
            halves of a batch have no rows in common.
        **kwargs: `max_iterations` and `tolerance`, as in `MinNormWeighter`.

    Call arguments:
        gramian: `(K, K)` float32, `gramian[i, j] = <g[i], g[j]>`, in squared
            loss per squared parameter. Positive semi-definite.
        split_gramian: `(K, K)` float32, with `stochastic`, instead of
            `gramian`: row i, column j is the inner product of task i's
            gradient on the even rows and task j's on the odd ones.
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

    def __init__(
        self,
        pull: float = 0.3,
        stochastic: bool = False,
        step_size: float = 10.0,
        steps: int = 20,
        scope: Scope | None = None,
        **kwargs,
    ):
        super().__init__(scope=scope, **kwargs)
        self.pull = at_least("pull", pull, 0.0)
        self.stochastic = bool(stochastic)
        self.step_size = above("step_size", step_size, 0.0)
        self.steps = integer("steps", steps, 1)

    @property
    def needs(self):
        """Names of the signals to pass to `call`."""
        signal = "split_gramian" if self.stochastic else "gramian"
        return (signal, *super().needs)

    def build(self, split_gramian_shape):
        """Creates the solver's state, or the shares that the loop moves."""
        self.add_solver_state()
        if self.stochastic:
            self.shares = add_shares(self, split_gramian_shape[0])

    def call(self, gramian=None, split_gramian=None, present=None):
        """Returns the weights."""
        given = split_gramian if self.stochastic else gramian
        if given is None:
            raise TypeError(
                f"SDMGrad(stochastic={self.stochastic}) must be called with "
                f"`{self.needs[0]}`."
            )
        return (self._moved if self.stochastic else self._solved)(
            given, present
        )

    def _moved(self, split_gramian, present):
        gramian = tf.cast(split_gramian, tf.float64)
        seen = seen_tasks(tf.linalg.diag_part(gramian), present)
        even = tf.cast(seen, tf.float64)
        even = tf.math.divide_no_nan(even, tf.reduce_sum(even))
        # Absent tasks have rows and columns of 0.
        norms = tf.sqrt(tf.maximum(tf.linalg.diag_part(gramian), 0.0))
        mean_norm = tf.reduce_sum(even * norms)
        gramian = tf.math.divide_no_nan(gramian, mean_norm**2)

        def step(number, shares, speed):
            gradient = tf.linalg.matvec(gramian, shares + self.pull * even)
            speed = MOMENTUM * speed + gradient
            point = shares - self.step_size * speed
            return number + 1, projected_shares(point, seen), speed

        def move(shares, _):
            return tf.while_loop(
                lambda number, *_: number < self.steps,
                step,
                (tf.constant(0), shares, tf.zeros_like(shares)),
            )[1]

        shares = move_shares(self.shares, present, move)
        weights = (shares + self.pull * even) / (1.0 + self.pull)
        return tf.cast(weights, tf.float32)

    def _solved(self, gramian, present):
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
        own = {
            "pull": self.pull,
            "stochastic": self.stochastic,
            "step_size": self.step_size,
            "steps": self.steps,
        }
        return {**super().get_config(), **own}
