"""Fast adaptive multi-task optimisation."""

import keras
import tensorflow as tf

from keras_mtl.checks import above, at_least, finite
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.by_task import by_task, map_values
from keras_mtl.weighters.presence import (
    seen_tasks,
    softmax_over,
    softmax_weights,
)
from keras_mtl.weighters.task_adam import TaskAdam

SMALLEST_LOSS = 1e-8


@keras.saving.register_keras_serializable(package="keras_mtl")
class FAMO(Weighter):
    """Weights under which all losses fall at the same relative rate.

    The losses on the batch are measured once more after the update. By how far
    each logarithm fell, the weights' logits take one Adam step, away from the
    tasks that fell the most. It takes no gradients of single tasks.

    The second measurement has the dropout of the first and moves no batch
    statistics; those of LibMTL move twice a step.

    Example:

    >>> famo = FAMO()
    >>> famo(losses=[1.0, 2.0])  # -> [1.3333, 0.6667]
    >>> famo.observe(losses_after=[0.5, 2.0])  # the second fell less
    >>> famo(losses=[0.5, 2.0])  # -> [1.5838, 0.4162], not 1.6 and 0.4

    Args:
        learning_rate: Float, above 0. Step size of the logits' own Adam (beta
            0.9 and 0.999, epsilon 1e-8).
        weight_decay: Float, at least 0, the paper's `gamma`. Pulls the logits
            together, as a part of their gradient.
        lowest: Float, or list of floats in the order of the heads, or dict by
            task, in units of loss: what each loss cannot fall below.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task.
        losses_after: `(K,)` float32, for `observe`. The same on the same batch
            at the new parameters.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task keeps its weight; the others share what remains.

    Returns:
        `(K,)` float32 weights, positive, summing to K.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Liu et al., 2023](https://arxiv.org/abs/2306.03792)
    """

    def __init__(
        self,
        learning_rate: float = 0.025,
        weight_decay: float = 1e-3,
        lowest: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.learning_rate = above("learning_rate", learning_rate, 0.0)
        self.weight_decay = at_least("weight_decay", weight_decay, 0.0)
        self.lowest = map_values(lambda value: finite("lowest", value), lowest)

    def build(self, losses_shape):
        """Creates the logits, the moments of Adam and the losses before."""
        self.floor = by_task(
            "lowest", self.lowest, losses_shape[0], self.task_names
        )
        self.logits = self.add_state("logits", losses_shape)
        self.adam = TaskAdam(self, losses_shape)
        self.before = self.add_state("before", losses_shape, "ones")

    def call(self, losses, present=None):
        """Returns the weights, and keeps the losses for `observe`."""
        seen = seen_tasks(losses, present)
        left = self._left(losses)
        self.before.assign(tf.where(seen, left, self.before))
        logits = self.logits - tf.math.log(left)
        return softmax_weights(logits, seen, self.task_weights)

    def observe(self, losses_after, present=None):
        """Moves the logits; the weights of this step stay."""
        seen = seen_tasks(losses_after, present)
        logits = tf.convert_to_tensor(self.logits)
        shares = softmax_over(logits, seen)
        fall = tf.math.log(self.before) - tf.math.log(self._left(losses_after))
        fall = tf.where(seen, fall, 0.0)
        ahead = shares * (fall - tf.reduce_sum(shares * fall))
        gradient = ahead + self.weight_decay * logits
        step = self.adam.direction(gradient, seen)
        self.logits.assign_sub(self.learning_rate * step)
        return tf.convert_to_tensor(self.task_weights)

    def _left(self, losses):
        """Returns how far the losses can still fall."""
        return tf.maximum(losses - self.floor, 0.0) + SMALLEST_LOSS

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "lowest": self.lowest,
        }
        return {**super().get_config(), **own}
