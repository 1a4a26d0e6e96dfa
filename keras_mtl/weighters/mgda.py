"""Multiple-gradient descent."""

import keras
import tensorflow as tf

from keras_mtl.checks import above, integer, one_of
from keras_mtl.solvers import min_norm_point
from keras_mtl.weighters.base import GradientWeighter


@keras.saving.register_keras_serializable(package="keras_mtl")
class MGDA(GradientWeighter):
    """Weights whose combined gradient is the shortest in the convex hull.

    Stepping along that gradient lowers every task's loss at once, or does
    nothing when no such step exists (a Pareto-stationary point). With
    gradients at the representation, the default for shared inputs, this is
    MGDA-UB. The weights combine the shared gradient only; each head gets its
    task's plain gradient.

    Example:

    >>> MGDA()(gramian=keras.ops.diag([1.0, 3.0]))  # -> [0.75, 0.25]

    Args:
        normalize: `None`, or what each task's gradient is divided by in the
            search: its norm (`"l2"`), the task's loss (`"loss"`), or both
            (`"loss+"`). As in the authors' code, the weights that are found
            then combine the plain gradients. An absolute value of 0 divides by
            1.
        max_iterations: Integer, at least 1, or `None` for a cap that grows
            with K. Frank-Wolfe steps per batch.
        tolerance: Float, above 0. Duality gap, as a fraction of the mean
            squared gradient norm, at which the solver stops.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"auto"`.

    Call arguments:
        gramian: `(K, K)` float32, `gramian[i, j] = <g[i], g[j]>`, in squared
            loss per squared parameter. Positive semi-definite.
        losses: `(K,)` float32, mean loss of each task. Needed to normalize by
            the loss.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0.

    Returns:
        `(K,)` float32 weights, non-negative, summing to 1.

    Attributes:
        solver_gap: Float32 scalar variable, the largest duality gap that
            calls reached since `fit` began its latest epoch.
        solver_iterations: Int32 scalar variable, the most steps that one took.

    Raises:
        ValueError: If an argument is out of range, or if `losses` is missing.

    Reference:
        - [Sener and Koltun, 2018](https://arxiv.org/abs/1810.04650)
        - [Désidéri, 2012](https://doi.org/10.1016/j.crma.2012.03.014)
    """

    scales_heads = False
    default_scope = "auto"

    def __init__(
        self,
        normalize=None,
        max_iterations=None,
        tolerance=1e-6,
        scope=None,
        **kwargs,
    ):
        super().__init__(scope=scope, **kwargs)
        self.normalize = one_of(
            "normalize", normalize, (None, "l2", "loss", "loss+")
        )
        if max_iterations is not None:
            max_iterations = integer("max_iterations", max_iterations, 1)
        self.max_iterations = max_iterations
        self.tolerance = above("tolerance", tolerance, 0.0)

    @property
    def needs(self):
        """Names of the signals to pass to `call`."""
        by_loss = self.normalize in ("loss", "loss+")
        return super().needs + (("losses",) if by_loss else ())

    def build(self):
        """Creates the solver's gap."""
        self.solver_gap = self.add_state("gap", ())
        self.solver_iterations = self.add_state("iterations", (), dtype="int32")

    def call(self, gramian, losses=None, present=None):
        """Returns the weights."""
        point = min_norm_point(
            self._normalized(gramian, losses),
            self.max_iterations,
            self.tolerance,
            present,
        )
        gap, iterations = self.solver_gap, self.solver_iterations
        gap.assign(keras.ops.maximum(gap, point.gap))
        iterations.assign(keras.ops.maximum(iterations, point.iterations))
        if present is None:
            return point.weights
        return tf.where(present > 0.0, point.weights, 0.0)

    def _normalized(self, gramian, losses):
        if self.normalize is None:
            return gramian
        # float64: the squares of small losses leave the range of float32.
        gramian = tf.cast(gramian, tf.float64)
        sizes = tf.ones(gramian.shape[0], tf.float64)
        if self.normalize in ("l2", "loss+"):
            sizes *= tf.sqrt(tf.linalg.diag_part(gramian))
        if self.normalize in ("loss", "loss+"):
            if losses is None:
                raise ValueError(
                    f"MGDA(normalize={self.normalize!r}) needs the signal "
                    "`losses`. Received: losses=None"
                )
            sizes *= tf.abs(tf.cast(losses, tf.float64))
        sizes = tf.where(sizes > 0.0, sizes, 1.0)
        return gramian / sizes[:, None] / sizes

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {
            "normalize": self.normalize,
            "max_iterations": self.max_iterations,
            "tolerance": self.tolerance,
        }
        return {**super().get_config(), **own}
