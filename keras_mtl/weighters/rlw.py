"""Random loss weighting."""

import math

import keras
import tensorflow as tf

from keras_mtl.checks import one_of
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.presence import seen_tasks, softmax_weights
from keras_mtl.weighters.random_draws import (
    add_random_state,
    checked_seed,
    draw_fractions,
)

# The logits whose softmax has the distribution, from uniform fractions.
LOGITS = {
    "normal": lambda x: math.sqrt(2.0) * tf.math.erfinv(2.0 * x - 1.0),
    "uniform": lambda x: x,
    "dirichlet": lambda x: tf.math.log(-tf.math.log(x)),
}


@keras.saving.register_keras_serializable(package="keras_mtl")
class RLW(Weighter):
    """Weights drawn at random, anew in every step.

    A baseline that any learned weights should beat. The mean of each weight is
    1; the published ones sum to 1, ours to K.

    Example:

    >>> RLW(seed=0)(losses=[0.3, 0.4])  # K times the softmax of normal draws

    Args:
        distribution: `"normal"` or `"uniform"` (between 0 and 1): that of the
            logits, of which the softmax is taken; or `"dirichlet"`: that of
            the weights, uniform over the simplex.
        seed: Integer, at least 0. Seed of the draws; `None` draws one, which
            `get_config` returns.

    Call arguments:
        losses: `(K,)` float32. Only their number counts.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task keeps its weight; the others share what remains.

    Returns:
        `(K,)` float32 weights, positive, summing to K.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Lin et al., 2022](https://arxiv.org/abs/2111.10603)
    """

    def __init__(
        self, distribution: str = "normal", seed: int | None = None, **kwargs
    ):
        super().__init__(**kwargs)
        self.distribution = one_of("distribution", distribution, LOGITS)
        self.seed = checked_seed(seed)

    def build(self):
        """Creates the random state."""
        add_random_state(self)

    def call(self, losses, present=None):
        """Draws the weights."""
        fractions = draw_fractions(self, losses.shape)
        return softmax_weights(
            LOGITS[self.distribution](fractions),
            seen_tasks(losses, present),
            self.task_weights,
        )

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {"distribution": self.distribution, "seed": self.seed}
        return {**super().get_config(), **own}
