"""Dual balancing: of losses by logarithms, of gradients by their norms."""

import keras
import tensorflow as tf

from keras_mtl.checks import at_least, between
from keras_mtl.combination import Combination
from keras_mtl.weighters.copies import CopiesWeighter, track
from keras_mtl.weighters.presence import seen_tasks
from keras_mtl.weighters.scopes import Scope

EPSILON = 1e-8


@keras.saving.register_keras_serializable(package="keras_mtl")
class DBMTL(CopiesWeighter):
    """Weights that bring the gradients of the losses' logarithms to one norm.

    It is the largest of their norms, so that a noisy task amplifies all
    others. Each head gets its own task's gradient of the logarithm.

    With `momentum`, as published, it is moving averages of these gradients
    that are brought to one norm, and the variables of the scope are updated by
    them; others, by today's gradients with the same weights. The averages take
    K copies of the scope's variables. At the representation, whose rows are
    others in each batch, the sum over the rows is averaged, and all variables
    are updated by today's gradients.

    Example:

    >>> DBMTL()(losses=[1.0, 2.0], gradient_norms=[1.0, 4.0])  # -> [2.0, 0.5]

    Args:
        momentum: Float, at least 0, below 1. The paper's `β`, of the averages;
            0 keeps none.
        decay: Float, at least 0: the momentum at a task's t-th step is
            `momentum / t**decay`.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`, and with `momentum` `"last_shared_layer"`.
        large: Boolean; see `CopiesWeighter`.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task. One below 0 counts as 0.
        gradient_norms: `(K,)` float32, norm of each task's gradient.
        gradients: `(K, P)` float32, with `momentum`, instead of
            `gradient_norms`: each task's gradient as one row.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0, and keeps its average.

    Returns:
        `(K,)` float32 weights of shared gradients, without a fixed sum: 0 for
        a task without a gradient. `weigh` returns those of the heads with
        them, `1 / (losses + 1e-8)`.

    Raises:
        ValueError: If an argument is out of range, or the scope too large.

    Reference:
        - [Lin et al., 2023](https://arxiv.org/abs/2308.12029)
    """

    weighs_heads = True

    def __init__(
        self,
        momentum: float = 0.0,
        decay: float = 0.0,
        scope: Scope | None = None,
        large: bool = False,
        **kwargs,
    ):
        if scope is None and momentum == 0.0:
            scope = "shared"
        super().__init__(scope=scope, large=large, **kwargs)
        self.momentum = between("momentum", momentum, 0.0, 1.0)
        self.decay = at_least("decay", decay, 0.0)

    @property
    def needs(self):
        """Names of the signals to pass to `call`."""
        signal = "gradients" if self.momentum else "gradient_norms"
        return ("losses", signal, "present")

    @property
    def weighs_finely(self):
        """Whether the update is made of averages."""
        return self.momentum > 0.0

    def build(self, losses_shape):
        """Creates the averages and the steps, with momentum."""
        if size := self.sizes.get("number"):
            self.averages = self.add_copies("averages", (*losses_shape, size))
            self.steps = self.add_state("steps", losses_shape)

    def call(self, losses, gradient_norms=None, gradients=None, present=None):
        """Returns the weights of shared gradients and of the heads."""
        given = gradients if self.momentum else gradient_norms
        if given is None:
            raise TypeError(
                f"DBMTL(momentum={self.momentum}) must be called with "
                f"`{self.needs[1]}`."
            )
        seen = seen_tasks(losses, present)
        heads = 1.0 / (tf.maximum(losses, 0.0) + EPSILON)
        averages = None
        if self.momentum:
            averages = self._average(heads[:, None] * gradients, seen)
            norms = tf.norm(averages, axis=1)
        else:
            norms = heads * gradient_norms
        norms = tf.where(seen, norms, 0.0)
        balance = tf.math.divide_no_nan(tf.reduce_max(norms), norms)
        shared = tf.minimum(balance * heads, 1e30)
        heads = tf.where(seen, heads, 0.0)
        if averages is None:
            return shared, heads
        rows = self.rows(averages, tf.minimum(balance, 1e30))
        return Combination(shared, heads, rows=rows)

    def _average(self, gradients, seen):
        steps = self.steps + tf.cast(seen, tf.float32)
        self.steps.assign(steps)
        momentum = self.momentum * tf.maximum(steps, 1.0) ** -self.decay
        return track(self.averages, gradients, 1.0 - momentum, seen)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {"momentum": self.momentum, "decay": self.decay}
        return {**super().get_config(), **own}
