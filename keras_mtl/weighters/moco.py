"""Multi-objective gradient correction."""

import keras
import tensorflow as tf

from keras_mtl.checks import above, at_least, one_of, probability
from keras_mtl.combination import Combination
from keras_mtl.weighters.copies import CopiesWeighter, track
from keras_mtl.weighters.presence import seen_tasks, softmax_over
from keras_mtl.weighters.shares import (
    add_shares,
    move_shares,
    projected_shares,
)


@keras.saving.register_keras_serializable(package="keras_mtl")
class MoCo(CopiesWeighter):
    """Weights of tracked gradients that approach their shortest combination.

    The noise of one batch turns the shortest combination of gradients. So each
    task's gradient is tracked, `Y += rate * (g - Y)`, and the weights move a
    step at a time, `shares -= step * (Y Yᵀ + regularization) shares`, back
    onto the simplex. The variables of the scope are updated by the tracked
    gradients, `Σ shares[k] Y[k]`; others, by today's with the same weights.
    Heads get their tasks' plain gradients.

    At the representation, whose rows are others in each batch, it is the sum
    over the rows that is tracked, and all variables are updated by today's
    gradients.

    The tracked gradients take K copies of the scope's variables.

    Example:

    >>> moco = MoCo(rate=1.0, normalize=False)
    >>> moco(losses=[1.0, 1.0], gradients=[[1.0, 0.0], [0.0, 2.0]])
    [0.575, 0.425]

    Args:
        rate: Float, above 0, at most 1. The paper's `β`.
        rate_decay: Float, at least 0: the rate at a task's t-th step is
            `rate / t**rate_decay`.
        step_size: Float, above 0. The paper's `γ`, in units of one over the
            squared tracked gradient.
        step_decay: Float, at least 0, of the step size, likewise.
        regularization: Float, at least 0. The paper's `ρ`.
        projection: `"euclidean"`, onto the nearest point of the simplex, or
            `"softmax"`, as in LibMTL, which draws towards equal shares.
        normalize: Boolean. Whether gradients are brought to the length of
            their task's loss first.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"last_shared_layer"`.
        large: Boolean; see `CopiesWeighter`.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task. One below 0 counts as 0.
        gradients: `(K, P)` float32, each task's gradient as one row.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0, and keeps its share and its tracked
            gradient.

    Returns:
        `(K,)` float32, the weights of today's gradients: the shares, which
        sum to 1; with `normalize`, times the loss over the gradient's norm.

    Attributes:
        shares: `(K,)` float32 variable.

    Raises:
        ValueError: If an argument is out of range, or the scope too large.

    Reference:
        - [Fernando et al., 2023](https://openreview.net/forum?id=dLAYGdKTi2)
    """

    scales_heads = False
    weighs_finely = True

    def __init__(
        self,
        rate: float = 0.5,
        rate_decay: float = 0.5,
        step_size: float = 0.1,
        step_decay: float = 0.5,
        regularization: float = 0.0,
        projection: str = "euclidean",
        normalize: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.rate = probability("rate", above("rate", rate, 0.0))
        self.rate_decay = at_least("rate_decay", rate_decay, 0.0)
        self.step_size = above("step_size", step_size, 0.0)
        self.step_decay = at_least("step_decay", step_decay, 0.0)
        self.regularization = at_least("regularization", regularization, 0.0)
        known = ("euclidean", "softmax")
        self.projection = one_of("projection", projection, known)
        self.normalize = bool(normalize)

    def build(self, gradients_shape):
        """Creates the tracked gradients, the shares, and the steps."""
        self.tracked = self.add_copies("tracked", gradients_shape)
        self.steps = self.add_state("steps", gradients_shape[:1])
        self.shares = add_shares(self, gradients_shape[0])

    def call(self, losses, gradients, present=None):
        """Tracks the gradients, moves the shares and returns the weights."""
        seen = seen_tasks(losses, present)
        steps = self.steps + tf.cast(seen, tf.float32)
        self.steps.assign(steps)
        steps = tf.maximum(steps, 1.0)
        scale = tf.ones_like(losses)
        if self.normalize:
            norms = tf.norm(gradients, axis=1)
            scale = tf.math.divide_no_nan(tf.maximum(losses, 0.0), norms)
            scale = tf.minimum(scale, 1e30)
        rate = self.rate * steps**-self.rate_decay
        tracked = track(self.tracked, scale[:, None] * gradients, rate, seen)
        shares = move_shares(
            self.shares, present, self._move(tracked, steps**-self.step_decay)
        )
        shares = tf.cast(shares, tf.float32)
        return Combination(
            scale * shares,
            tf.ones_like(losses),
            rows=self.rows(tracked, shares),
        )

    def _move(self, tracked, decay):
        wide = tf.cast(tracked, tf.float64)
        step = self.step_size * tf.cast(decay, tf.float64)

        def move(shares, seen):
            combined = tf.linalg.matvec(wide, shares, transpose_a=True)
            slope = tf.linalg.matvec(wide, combined)
            point = shares - step * (slope + self.regularization * shares)
            if self.projection == "softmax":
                return softmax_over(point, seen)
            return projected_shares(point, seen)

        return move

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {
            "rate": self.rate,
            "rate_decay": self.rate_decay,
            "step_size": self.step_size,
            "step_decay": self.step_decay,
            "regularization": self.regularization,
            "projection": self.projection,
            "normalize": self.normalize,
        }
        return {**super().get_config(), **own}
