"""Bilevel task weighting on support and query data."""

import keras
import tensorflow as tf

from keras_mtl.checks import above, integer
from keras_mtl.solvers import min_norm_point
from keras_mtl.weighters.base import GradientWeighter


@keras.saving.register_keras_serializable(package="keras_mtl")
class MetaWeighting(GradientWeighter):
    """Weights learned to lower every task's loss on held-out query data.

    After each update of the parameters on the support batch, `observe` moves
    the weights against the hypergradients: those of the query losses at the
    new parameters with respect to the weights that led there. Of these it
    takes the shortest convex combination, which lowers all query losses at
    once, or none. First order only: no second derivatives.

    As published, the weights start at 1 and are neither normalised nor kept
    positive.

    Example:

    >>> meta = MetaWeighting(step_size=0.1)
    >>> meta(losses=[0.3, 0.4])  # -> [1.0, 1.0]
    >>> meta.observe(
    ...     query_support_gramian=[[2.0, 0.0], [0.0, 2.0]], learning_rate=0.1
    ... )  # 0.1 * 0.1 / 2 times the mean of the rows -> [1.005, 1.005]

    Args:
        step_size: Float, above 0, the paper's `alpha`. The paper uses 0.1 for
            sentiment and 0.5 for topics.
        max_iterations: Integer, at least 1, or `None` for a cap that grows
            with K. Frank-Wolfe steps per batch.
        tolerance: Float, above 0. Duality gap, as a fraction of the mean
            squared norm of the hypergradients, at which the solver stops.
        nonnegative: Boolean. Whether negative weights are set to 0 after each
            update (the projection onto the non-negative weights; the sum is
            left as it is).
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"all"`.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task.
        query_support_gramian: `(K, K)` float32, for `observe`. Row t, column
            j: inner product of task t's query gradient at the new parameters
            and task j's support gradient at the old ones.
        learning_rate: Float32 scalar, for `observe`. The learning rate of the
            update.
        present: `(K,)` float32, for `observe`. 1 for a task with a label in
            the query batch.

    Returns:
        `(K,)` float32 weights: of `call`, those for this update; of
        `observe`, those for the next.

    Attributes:
        solver_gap: Float32 scalar variable, the largest duality gap that
            calls of `observe` reached since `fit` began its latest epoch.
        solver_iterations: Int32 scalar variable, the most steps that one took.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Mao et al., 2022](https://aclanthology.org/2022.findings-acl.271)
    """

    default_scope = "all"

    def __init__(
        self,
        step_size=0.1,
        max_iterations=None,
        tolerance=1e-6,
        nonnegative=False,
        scope=None,
        **kwargs,
    ):
        super().__init__(scope=scope, **kwargs)
        self.step_size = above("step_size", step_size, 0.0)
        if max_iterations is not None:
            max_iterations = integer("max_iterations", max_iterations, 1)
        self.max_iterations = max_iterations
        self.tolerance = above("tolerance", tolerance, 0.0)
        self.nonnegative = bool(nonnegative)

    def build(self, losses_shape):
        """Creates the rounding rests of the weights and the solver's gap."""
        self.rest = self.add_state("rest", losses_shape)
        self.solver_gap = self.add_state("gap", ())
        self.solver_iterations = self.add_state("iterations", (), dtype="int32")

    def call(self, losses):
        """Returns the weights, which only `observe` changes."""
        return tf.convert_to_tensor(self.task_weights)

    def observe(self, query_support_gramian, learning_rate, present=None):
        """Moves the weights and returns them."""
        rows = query_support_gramian
        if present is not None:
            rows = tf.where(present[:, None] > 0.0, rows, 0.0)
        # The minimiser is that of the hypergradients, -η/K times the rows,
        # whose squares leave the range of float32.
        wide = tf.cast(rows, tf.float64)
        point = min_norm_point(
            tf.matmul(wide, wide, transpose_b=True),
            self.max_iterations,
            self.tolerance,
            present,
        )
        gap, iterations = self.solver_gap, self.solver_iterations
        gap.assign(keras.ops.maximum(gap, point.gap))
        iterations.assign(keras.ops.maximum(iterations, point.iterations))
        direction = tf.linalg.matvec(rows, point.weights, transpose_a=True)
        step = self.step_size * learning_rate / rows.shape[0] * direction
        return self._add(step)

    def _add(self, step):
        """Adds to the weights, and keeps what float32 rounds away.

        At a learning rate of 2e-5 a step is below the resolution at 1.
        """
        weights = tf.convert_to_tensor(self.task_weights)
        step += self.rest
        moved = weights + step
        self.rest.assign(step - (moved - weights))
        if self.nonnegative:
            self.rest.assign(tf.where(moved > 0.0, self.rest, 0.0))
            moved = tf.maximum(moved, 0.0)
        return moved

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {
            "step_size": self.step_size,
            "max_iterations": self.max_iterations,
            "tolerance": self.tolerance,
            "nonnegative": self.nonnegative,
        }
        return {**super().get_config(), **own}
