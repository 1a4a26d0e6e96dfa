"""Weights of auxiliary tasks, learned for the main ones."""

import keras
import tensorflow as tf

from keras_mtl.checks import above, finite
from keras_mtl.weighters.gradient_weighter import GradientWeighter
from keras_mtl.weighters.primary import checked_primary, primary_position
from keras_mtl.weighters.scopes import Scope
from keras_mtl.weighters.task_adam import TaskAdam


@keras.saving.register_keras_serializable(package="keras_mtl")
class AutoLambda(GradientWeighter):
    """Weights learned to lower the main tasks' loss on held-out query data.

    After each update, the weights take one Adam step against the
    hypergradient: that of the query losses at the new parameters, summed over
    the main tasks, with respect to the weights that led there. First order
    only: no second derivatives. The authors look one step ahead on a copy
    of the model and use new weights at once; these are used one step later.

    As published, weights are neither normalised nor kept positive: a task that
    harms the main ones is unlearned.

    Example:

    >>> auto = AutoLambda(learning_rate=0.01)
    >>> auto(losses=[0.3, 0.4])  # -> [0.1, 0.1]
    >>> auto.observe(
    ...     query_support_gramian=[[2.0, -1.0], [1.0, -2.0]], learning_rate=0.1
    ... )  # Adam's first step is as long as its rate -> [0.11, 0.09]

    Args:
        primary: Name of the main task, or its position, from 0. `None` takes
            all tasks for main ones.
        learning_rate: Float, above 0. Step size of the weights' own Adam
            (beta 0.9 and 0.999, epsilon 1e-8).
        initial: Float, the first weight of every task.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"all"`.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task.
        query_support_gramian: `(K, K)` float32, for `observe`. Row t, column
            j: inner product of task t's query gradient at the new parameters
            and task j's support gradient at the old ones.
        learning_rate: Float32 scalar, for `observe`. The learning rate of the
            update.

    Returns:
        `(K,)` float32 weights, without a fixed sum: of `call`, those for this
        update; of `observe`, those for the next. A task without a label in the
        support batch keeps its weight.

    Raises:
        ValueError: If an argument is out of range, or `primary` is no task.

    Reference:
        - [Liu et al., 2022](https://arxiv.org/abs/2202.03091)
    """

    default_scope = "all"

    def __init__(
        self,
        primary: str | int | None = None,
        learning_rate: float = 1e-4,
        initial: float = 0.1,
        scope: Scope | None = None,
        **kwargs,
    ):
        super().__init__(scope=scope, **kwargs)
        self.primary = checked_primary(primary)
        self.learning_rate = above("learning_rate", learning_rate, 0.0)
        self.initial = finite("initial", initial)

    def build(self, losses_shape):
        """Creates the weights and the moments of Adam."""
        self.main = None
        if self.primary is not None:
            self.main = primary_position(self, losses_shape[0])
        initial = keras.initializers.Constant(self.initial)
        self.weights_ahead = self.add_state("weights", losses_shape, initial)
        self.adam = TaskAdam(self, losses_shape)

    def call(self, losses):
        """Returns the weights, which only `observe` changes."""
        return tf.convert_to_tensor(self.weights_ahead)

    def observe(self, query_support_gramian, learning_rate):
        """Moves the weights and returns them."""
        rows = query_support_gramian
        if self.main is not None:
            rows = rows[self.main : self.main + 1]
        hypergradient = -learning_rate * tf.reduce_sum(rows, axis=0)
        step = self.adam.direction(hypergradient, hypergradient != 0.0)
        moved = self.weights_ahead - self.learning_rate * step
        self.weights_ahead.assign(moved)
        return moved

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {
            "primary": self.primary,
            "learning_rate": self.learning_rate,
            "initial": self.initial,
        }
        return {**super().get_config(), **own}
