"""Independent component alignment."""

import keras
import tensorflow as tf

from keras_mtl.checks import one_of
from keras_mtl.solvers import eigh
from keras_mtl.weighters.by_task import ByTask
from keras_mtl.weighters.gramian import PreferenceWeighter
from keras_mtl.weighters.scopes import Scope

# A share of the largest eigenvalue, times K: what float32 rounds a Gramian by.
RANK_TOLERANCE = 1.2e-7


@keras.saving.register_keras_serializable(package="keras_mtl")
class AlignedMTL(PreferenceWeighter):
    """Weights of the sum of gradients made orthogonal and of one length.

    Of all orthogonal systems of equally long vectors, the nearest to the
    gradients takes their place. The weights combine the shared gradient only;
    each head gets its task's plain gradient.

    With `"min"` the update is as short as the least that the gradients have
    in any direction: two nearly parallel tasks all but stop training. The
    authors' code sums where this averages by default: pass
    `preference=[1.0, ...]` for its scale.

    Example:

    >>> AlignedMTL()(gramian=keras.ops.diag([1.0, 4.0]))  # -> [0.5, 0.25]

    Args:
        scale: `"min"`, `"median"` or `"rmse"`: the square of the common length
            is the least, the (lower) median or the mean of the Gramian's
            eigenvalues that are not 0.
        preference: List of floats, at least 0, in the order of the heads, or
            dict from task name to float: the weights of the aligned gradients.
            `None` means one over the number of tasks present.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`.

    Call arguments:
        gramian: `(K, K)` float32, `gramian[i, j] = <g[i], g[j]>`, in squared
            loss per squared parameter. Positive semi-definite.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0.

    Returns:
        `(K,)` float32 weights, of either sign, without a fixed sum.

    Raises:
        ValueError: If an argument is out of range, or if the preferences do
            not match the tasks.

    Reference:
        - [Senushkin et al., 2023](https://arxiv.org/abs/2305.19000)
    """

    # XLA's eigenvalues take ten times as long as those of a plain graph.
    as_one_kernel = False

    def __init__(
        self,
        scale: str = "min",
        preference: ByTask | None = None,
        scope: Scope | None = None,
        **kwargs,
    ):
        super().__init__(preference=preference, scope=scope, **kwargs)
        self.scale = one_of("scale", scale, ("min", "median", "rmse"))

    def combine(self, gradients):
        """Returns the `(K,)` float64 weights."""
        preference = self.preferred(gradients, gradients.share)
        longest = tf.reduce_max(gradients.norms)
        norms = tf.math.divide_no_nan(gradients.norms, longest)
        values, vectors = eigh(gradients.cosines * norms[:, None] * norms)
        size = int(values.shape[0])
        kept = values > tf.reduce_max(values) * size * RANK_TOLERANCE
        rank = tf.reduce_sum(tf.cast(kept, tf.int32))
        common = self._common(tf.where(kept, values, 0.0), rank)
        factors = tf.sqrt(common / tf.where(kept, values, 1.0))
        factors = tf.where(kept, factors, 0.0)
        along = tf.linalg.matvec(vectors, preference, transpose_a=True)
        weights = tf.linalg.matvec(vectors, factors * along)
        return tf.where(rank > 0, weights, preference)

    def _common(self, values, rank):
        if self.scale == "rmse":
            return tf.math.divide_no_nan(
                tf.reduce_sum(values), tf.cast(rank, tf.float64)
            )
        # Ascending order: those that are kept come last.
        first = values.shape[0] - rank
        if self.scale == "median":
            first += (rank - 1) // 2
        return tf.gather(values, tf.minimum(first, values.shape[0] - 1))

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        return {**super().get_config(), "scale": self.scale}
