"""Bilevel task weighting over the simplex."""

import keras
import tensorflow as tf

from keras_mtl.checks import above
from keras_mtl.weighters.min_norm import MinNormWeighter
from keras_mtl.weighters.scopes import Scope
from keras_mtl.weighters.task_adam import TaskAdam

# A combination of unit vectors that is shorter counts as none.
FLOOR = 1e-5


@keras.saving.register_keras_serializable(package="keras_mtl")
class MOML(MinNormWeighter):
    """Weights learned to lower every task's loss on held-out query data.

    The weights are K times a softmax of logits. After each update of the
    parameters on the support batch, `observe` takes the hypergradients: those
    of the query losses at the new parameters with respect to the logits that
    led there, each divided by its norm. The logits take one Adam step against
    the shortest convex combination, which lowers all query losses at once, or
    none. The one-step form, first order only: no second derivatives.

    Example:

    >>> moml = MOML(learning_rate=0.1)
    >>> moml(losses=[0.3, 0.4])  # -> [1.0, 1.0]
    >>> moml.observe(query_support_gramian=[[2.0, 1.0], [3.0, 1.0]])
    [1.0997, 0.9003]

    Args:
        learning_rate: Float, above 0. Step size of the logits' own Adam (beta
            0.9 and 0.999, epsilon 1e-8).
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"all"`.
        **kwargs: `max_iterations` and `tolerance`, as in `MinNormWeighter`.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task.
        query_support_gramian: `(K, K)` float32, for `observe`. Row t, column
            j: inner product of task t's query gradient at the new parameters
            and task j's support gradient at the old ones.

    Returns:
        `(K,)` float32 weights, positive, summing to K: of `call`, those for
        this update; of `observe`, those for the next. A task without a label
        in the support batch keeps its weight.

    Attributes:
        solver_gap: Float32 scalar variable; see `MinNormWeighter`.
        solver_iterations: Int32 scalar variable.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Ye et al., 2021](https://arxiv.org/abs/2102.07121)
    """

    default_scope = "all"

    def __init__(
        self,
        learning_rate: float = 1e-3,
        scope: Scope | None = None,
        **kwargs,
    ):
        super().__init__(scope=scope, **kwargs)
        self.learning_rate = above("learning_rate", learning_rate, 0.0)

    def build(self, losses_shape):
        """Creates the logits, the moments of Adam and the solver's state."""
        self.logits = self.add_state("logits", losses_shape)
        self.adam = TaskAdam(self, losses_shape)
        self.add_solver_state()

    def call(self, losses):
        """Returns the weights, which only `observe` changes."""
        return losses.shape[0] * tf.nn.softmax(self.logits)

    def observe(self, query_support_gramian):
        """Moves the logits and returns the weights."""
        # float64: squares leave the range of float32.
        rows = tf.cast(query_support_gramian, tf.float64)
        logits = tf.cast(self.logits, tf.float64)
        seen = tf.reduce_any(rows != 0.0, axis=0)
        # Through the softmax over the tasks that moved the parameters.
        mask = tf.cast(seen, tf.float64)
        odds = mask * tf.exp(logits - tf.reduce_max(logits))
        odds = tf.math.divide_no_nan(odds, tf.reduce_sum(odds))
        mean = tf.linalg.matvec(rows, odds)
        descents = odds * (rows - mean[:, None])
        # What rounding leaves of equal entries has no direction.
        noise = 1e-6 * tf.reduce_sum(odds * tf.abs(rows), axis=1)
        norms = tf.norm(descents, axis=1)
        told = norms > noise
        norms = tf.where(told, norms, tf.ones_like(norms))
        descents = tf.where(
            told[:, None], descents / norms[:, None], 0.0 * rows
        )
        mixture = self.solve(
            tf.matmul(descents, descents, transpose_b=True),
            tf.cast(told, tf.float32),
        )
        descent = tf.linalg.matvec(
            descents, tf.cast(mixture, tf.float64), transpose_a=True
        )
        # Adam would blow up what rounding leaves where no step lowers all.
        descent = tf.where(tf.norm(descent) > FLOOR, descent, 0.0 * descent)
        step = self.adam.direction(-tf.cast(descent, tf.float32), seen)
        moved = logits - self.learning_rate * tf.cast(step, tf.float64)
        # An absent task keeps its share: the others' sum stays as it was.
        moved += mask * tf.math.log(_share(logits, mask) / _share(moved, mask))
        moved = tf.cast(moved, tf.float32)
        self.logits.assign(moved)
        return rows.shape[0] * tf.nn.softmax(moved)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        return {**super().get_config(), "learning_rate": self.learning_rate}


def _share(logits, mask):
    """Returns the sum of the odds of some tasks, or 1 of none."""
    total = tf.reduce_sum(mask * tf.exp(logits))
    return tf.where(total > 0.0, total, tf.ones_like(total))
