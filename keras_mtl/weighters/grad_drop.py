"""Dropping gradients by the sign of each coordinate."""

import keras
import tensorflow as tf

from keras_mtl.checks import finite
from keras_mtl.combination import Combination
from keras_mtl.weighters.by_task import ByTask, by_task, map_values
from keras_mtl.weighters.gradient_weighter import GradientWeighter
from keras_mtl.weighters.presence import seen_tasks
from keras_mtl.weighters.random_draws import (
    add_random_state,
    checked_seed,
    draw_fractions,
)
from keras_mtl.weighters.scopes import Scope


@keras.saving.register_keras_serializable(package="keras_mtl")
class GradDrop(GradientWeighter):
    """Weights of each coordinate of the representation, 0 or 1 for each task.

    Where the tasks' gradients of a coordinate have both signs, one sign is
    drawn, with the probability of its share of the absolute gradients, and the
    tasks of the other sign are dropped. The gradients are summed over the
    batch, times the sign of the representation, so that tasks with rows of
    their own meet, too. What lies above the representation gets the tasks'
    plain gradients; a variable that is used below and above gets both.

    Some other implementations have the leak inverted, 1 for 0.

    Where the tasks part at several tensors, each of these is dropped at, by
    the gradients that arrive there from above.

    Example:

    >>> drop = GradDrop(seed=3)
    >>> drop.weigh(signed_gradients=[[3.0, 1.0], [-1.0, 2.0]]).coordinates
    [[1.0, 1.0], [0.0, 1.0]]  # by chance 3/4; no conflict in the second

    Args:
        leak: Float from 0 to 1, or list of floats in the order of the heads,
            or dict by task: the part of a task's gradient that is never
            dropped.
        seed: Integer, at least 0. Seed of the draws; `None` draws one, which
            `get_config` returns.
        scope: `"representation"`, the only one.

    Call arguments:
        signed_gradients: `(K, D)` float32, each task's gradient at the
            representation, times the latter's sign, summed over the batch.
        present: `(K,)` float32, 1 for a task with a label in the batch.

    Returns:
        `(K,)` float32: of each task's weights, the mean over the coordinates.
        `weigh` returns those of the `coordinates` with them, `(K, D)`.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Chen et al., 2020](https://arxiv.org/abs/2010.06808)
    """

    default_scope = "representation"
    weighs_finely = True

    def __init__(
        self,
        leak: float | ByTask = 0.0,
        seed: int | None = None,
        scope: Scope | None = None,
        **kwargs,
    ):
        super().__init__(scope=scope, **kwargs)
        if self.scope != "representation":
            raise ValueError(
                "GradDrop reads coordinates of the representation: argument "
                f"`scope` must be 'representation'. Received: scope={scope!r}"
            )
        self.leak = map_values(_share, leak)
        self.seed = checked_seed(seed)

    def build(self, signed_gradients_shape):
        """Creates the random state."""
        num_tasks = signed_gradients_shape[0]
        self.leaks = by_task("leak", self.leak, num_tasks, self.task_names)
        add_random_state(self)

    def call(self, signed_gradients, present=None):
        """Draws a sign for each coordinate and returns the weights."""
        wide = tf.cast(signed_gradients, tf.float64)
        total = tf.reduce_sum(wide, axis=0)
        size = tf.reduce_sum(tf.abs(wide), axis=0)
        purity = 0.5 * (1.0 + tf.math.divide_no_nan(total, size))
        drawn = draw_fractions(self, purity.shape)
        kept = tf.where(purity > drawn, wide > 0.0, wide < 0.0)
        leak = tf.constant(self.leaks, tf.float32)[:, None]
        weights = leak + (1.0 - leak) * tf.cast(kept, tf.float32)
        seen = seen_tasks(weights[:, 0], present)
        weights = tf.where(seen[:, None], weights, 0.0)
        mean = tf.reduce_mean(weights, axis=1)
        return Combination(mean, tf.ones_like(mean), coordinates=weights)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        leak = map_values(lambda value: value, self.leak)
        return {**super().get_config(), "leak": leak, "seed": self.seed}


def _share(value):
    number = finite("leak", value)
    if not 0.0 <= number <= 1.0:
        raise ValueError(
            "Argument `leak` must lie between 0 and 1. "
            f"Received: leak={value!r}"
        )
    return number
