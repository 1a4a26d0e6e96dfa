"""Gradient normalisation."""

import keras
import tensorflow as tf

from keras_mtl.checks import above, at_least
from keras_mtl.weighters.gradient_weighter import GradientWeighter
from keras_mtl.weighters.scopes import Scope
from keras_mtl.weighters.task_adam import TaskAdam

# An Adam step can be longer than a small weight is large.
SMALLEST_WEIGHT = 1e-3


@keras.saving.register_keras_serializable(package="keras_mtl")
class GradNorm(GradientWeighter):
    """Weights that pull the norms of the weighted gradients together.

    The target of a task's weighted gradient norm is the mean norm of all
    tasks, times a power of the task's relative loss: the share of its first
    loss that is left, divided by the mean share of all tasks. In each step the
    weights take one Adam step on the sum of absolute distances to the targets;
    they are kept above 0 and scaled to sum to K. The new weights are used in
    the same step.

    That is the paper's method. LibMTL's differs: its scales are a softmax that
    the model's optimizer trains, after an epoch of equal weights.

    Example:

    >>> gradnorm = GradNorm()
    >>> gradnorm(losses=[1.0, 1.0], gradient_norms=[3.0, 1.0])
    [0.975, 1.025]

    Args:
        asymmetry: Float, at least 0, the paper's `alpha`. Power of the relative
            loss: 0 aims at equal norms, more pulls slow tasks harder. The
            paper uses 1.5 for different tasks and 0.12 for similar ones.
        learning_rate: Float, above 0. Step size of the weights' own Adam
            (beta 0.9 and 0.999, epsilon 1e-8).
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"last_shared_layer"`, its kernel and bias.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task.
        gradient_norms: `(K,)` float32, norm of each task's gradient.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task keeps its weight, and its first loss is that of the
            first step with a label.

    Returns:
        `(K,)` float32 weights, positive, summing to K.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Chen et al., 2018](https://arxiv.org/abs/1711.02257)
    """

    default_scope = "last_shared_layer"

    def __init__(
        self,
        asymmetry: float = 1.5,
        learning_rate: float = 0.025,
        scope: Scope | None = None,
        **kwargs,
    ):
        super().__init__(scope=scope, **kwargs)
        self.asymmetry = at_least("asymmetry", asymmetry, 0.0)
        self.learning_rate = above("learning_rate", learning_rate, 0.0)

    def build(self, losses_shape):
        """Creates the first losses and the moments of Adam."""
        self.first_losses = self.add_state("first_losses", losses_shape)
        self.adam = TaskAdam(self, losses_shape)

    def call(self, losses, gradient_norms, present=None):
        """Takes one step and returns the weights."""
        seen = tf.ones_like(losses) if present is None else present
        seen = seen > 0.0
        first = tf.where(self.adam.steps > 0.0, self.first_losses, losses)
        self.first_losses.assign(tf.where(seen, first, self.first_losses))
        # A first loss of 0 tells nothing, a negative ratio has no power.
        left = tf.where(first == 0.0, 1.0, losses / first)
        left = tf.clip_by_value(left, 0.0, 1e30)
        mean_left = _mean(left, seen)
        rate = tf.where(mean_left > 0.0, left / mean_left, 1.0)
        norms = self.task_weights * gradient_norms
        target = _mean(norms, seen) * tf.pow(rate, self.asymmetry)
        # A distance within rounding has no direction.
        away = tf.abs(norms - target) > 1e-6 * target
        sign = tf.where(away, tf.sign(norms - target), 0.0)
        step = self.adam.direction(sign * gradient_norms, seen)
        weights = (
            tf.convert_to_tensor(self.task_weights) - self.learning_rate * step
        )
        weights = tf.where(
            seen, tf.maximum(weights, SMALLEST_WEIGHT), self.task_weights
        )
        absent = tf.reduce_sum(tf.where(seen, 0.0, weights))
        total = tf.reduce_sum(tf.where(seen, weights, 0.0))
        scale = tf.math.divide_no_nan(losses.shape[0] - absent, total)
        return tf.where(seen, scale * weights, weights)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {
            "asymmetry": self.asymmetry,
            "learning_rate": self.learning_rate,
        }
        return {**super().get_config(), **own}


def _mean(values, seen):
    seen = tf.cast(seen, tf.float32)
    total = tf.reduce_sum(seen * values)
    return tf.math.divide_no_nan(total, tf.reduce_sum(seen))
