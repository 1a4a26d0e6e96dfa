"""Multiple-gradient descent."""

import keras
import tensorflow as tf

from keras_mtl.checks import one_of
from keras_mtl.weighters.min_norm import MinNormWeighter
from keras_mtl.weighters.scopes import Scope


@keras.saving.register_keras_serializable(package="keras_mtl")
class MGDA(MinNormWeighter):
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
            (`"loss+"`). As in the authors' code, the weights found in this way
            combine the plain gradients. Where the divisor is 0, it is 1.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"auto"`.
        **kwargs: `max_iterations` and `tolerance`, as in `MinNormWeighter`.

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
        solver_gap: Float32 scalar variable; see `MinNormWeighter`.
        solver_iterations: Int32 scalar variable.

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
        normalize: str | None = None,
        scope: Scope | None = None,
        **kwargs,
    ):
        super().__init__(scope=scope, **kwargs)
        self.normalize = one_of(
            "normalize", normalize, (None, "l2", "loss", "loss+")
        )

    @property
    def needs(self):
        """Names of the signals to pass to `call`."""
        by_loss = self.normalize in ("loss", "loss+")
        return super().needs + (("losses",) if by_loss else ())

    def build(self):
        """Creates the solver's state."""
        self.add_solver_state()

    def call(self, gramian, losses=None, present=None):
        """Returns the weights."""
        weights = self.solve(self._normalized(gramian, losses), present)
        if present is None:
            return weights
        return tf.where(present > 0.0, weights, 0.0)

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
        return {**super().get_config(), "normalize": self.normalize}
