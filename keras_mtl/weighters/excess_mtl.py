"""Weights by how much risk each task has left to lose."""

import math

import keras
import tensorflow as tf

from keras_mtl.checks import above, integer
from keras_mtl.weighters.copies import CopiesWeighter
from keras_mtl.weighters.presence import seen_tasks

EPSILON = 1e-7


@keras.saving.register_keras_serializable(package="keras_mtl")
class ExcessMTL(CopiesWeighter):
    """Weights that grow with a task's excess risk, not with its loss.

    A task whose loss is high because of noise has small gradients, and is left
    in peace. The excess risk is read off squared gradients over the root of
    their sums so far, as in Adagrad, and relative to the first one:
    `weights *= exp(step_size * risk / first)`, scaled to sum to K.

    The squares take K copies of the scope's variables.

    The weights of the first step are 1. TorchJD moves them by the risk itself
    there, and the task with the largest gradient takes all at once; LibMTL
    divides by a first risk that may be 0, which counts as no excess here.

    Example:

    >>> excess = ExcessMTL(step_size=1.0)
    >>> excess(gradients=[[1.0, 0.0], [1.0, 1.0]])  # the first -> [1.0, 1.0]
    >>> excess(gradients=[[1.0, 0.0], [0.0, 0.0]])  # -> [1.34, 0.66]

    Args:
        step_size: Float, above 0.
        warmup_steps: Integer, at least 0. Steps over whose mean the first
            risks are taken, with weights of 1; 0 takes the first step's.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"last_shared_layer"`.
        large: Boolean; see `CopiesWeighter`.

    Call arguments:
        gradients: `(K, P)` float32, each task's gradient as one row.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task keeps its weight; the others share what remains.

    Returns:
        `(K,)` float32 weights, positive, summing to K.

    Raises:
        ValueError: If an argument is out of range, or the scope too large.

    Reference:
        - [He et al., 2024](https://arxiv.org/abs/2402.02009)
    """

    def __init__(
        self, step_size: float = 0.01, warmup_steps: int = 0, **kwargs
    ):
        super().__init__(**kwargs)
        self.step_size = above("step_size", step_size, 0.0)
        self.warmup_steps = integer("warmup_steps", warmup_steps, 0)

    def build(self, gradients_shape):
        """Creates the squares, the first risks and the weights' logarithms."""
        self.squares = self.add_copies("squares", gradients_shape)
        per_task = gradients_shape[:1]
        self.first = self.add_state("first", per_task)
        self.steps = self.add_state("steps", per_task)
        even = keras.initializers.Constant(-math.log(per_task[0]))
        self.logits = self.add_state("logits", per_task, even)

    def call(self, gradients, present=None):
        """Moves the weights and returns them."""
        seen = seen_tasks(gradients[:, 0], present)
        squares = self.squares + gradients**2
        self.squares.assign(tf.where(seen[:, None], squares, self.squares))
        risks = gradients**2 / tf.sqrt(squares + EPSILON)
        risks = tf.reduce_sum(risks, axis=1)
        steps = tf.convert_to_tensor(self.steps)
        warms = seen & (steps < max(1, self.warmup_steps))
        change = (risks - self.first) / (steps + 1.0)
        first = tf.where(warms, self.first + change, self.first)
        self.first.assign(first)
        self.steps.assign(steps + tf.cast(seen, tf.float32))
        relative = tf.minimum(tf.math.divide_no_nan(risks, first), 1e30)
        moved = self.logits + tf.where(
            seen & ~warms, self.step_size * relative, 0.0
        )
        # The others share what absent tasks leave, as before.
        change = _log_sum(moved, seen) - _log_sum(self.logits, seen)
        moved = tf.where(seen, moved - change, self.logits)
        self.logits.assign(moved)
        return risks.shape[0] * tf.exp(moved)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {"step_size": self.step_size, "warmup_steps": self.warmup_steps}
        return {**super().get_config(), **own}


def _log_sum(logits, seen):
    return tf.reduce_logsumexp(tf.where(seen, logits, -1e30))
