"""Auxiliary gradients, brought to the size of the main task's."""

import math

import keras
import tensorflow as tf

from keras_mtl.checks import between, finite
from keras_mtl.weighters.layerwise import LayerwiseWeighter
from keras_mtl.weighters.presence import seen_tasks
from keras_mtl.weighters.primary import checked_primary, primary_position
from keras_mtl.weighters.scopes import Scope


@keras.saving.register_keras_serializable(package="keras_mtl")
class MetaBalance(LayerwiseWeighter):
    """Weights that bring auxiliary gradients near the main task's norm.

    The norms are moving averages over the steps. The main task's weight is 1,
    an auxiliary one's `relax * norms[main] / norms[k] + 1 - relax`. Heads
    get their tasks' plain gradients.

    Example:

    >>> MetaBalance(primary=0, relax=1.0)(gradient_norms=[1.0, 4.0, 0.5])
    [1.0, 0.25, 2.0]

    Args:
        primary: Name of the main task, or its position, from 0. `None` takes
            the first.
        relax: Float from 0 to 1, the paper's `r`: how near. 0 leaves all
            gradients as they are.
        momentum: Float, at least 0, below 1. Of the norms' moving averages.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`.
        per_layer: Boolean. Whether the gradients of each layer are brought to
            the main task's norm there, as published for each matrix. The
            norms then count as often as `loss_weights` say.

    Call arguments:
        gradient_norms: `(K,)` float32, norm of each task's gradient.
        gramian_by_layer: `(layers, K, K)` float32, with `per_layer`, instead
            of `gradient_norms`: inner products of the gradients of each layer.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0 and keeps its average.

    Returns:
        `(K,)` float32 weights, non-negative, without a fixed sum. With
        `per_layer` their mean over the layers.

    Raises:
        ValueError: If an argument is out of range, or `primary` is no task.

    Reference:
        - [He et al., 2022](https://arxiv.org/abs/2203.06801)
    """

    signal = "gradient_norms"

    def __init__(
        self,
        primary: str | int | None = None,
        relax: float = 0.7,
        momentum: float = 0.9,
        scope: Scope | None = None,
        **kwargs,
    ):
        super().__init__(scope=scope, **kwargs)
        self.primary = checked_primary(primary)
        self.relax = finite("relax", relax)
        if not 0.0 <= self.relax <= 1.0:
            raise ValueError(
                "Argument `relax` must lie between 0 and 1. "
                f"Received: relax={relax!r}"
            )
        self.momentum = between("momentum", momentum, 0.0, 1.0)

    def build(self, gradient_norms_shape):
        """Creates the averages, and the steps that they are made of."""
        self.main = primary_position(self, gradient_norms_shape[0])
        self.steps = self.add_state("steps", gradient_norms_shape)
        shape = (*self.layer_axis, *gradient_norms_shape)
        axes = (len(self.layer_axis),)
        self.averages = self.add_state("averages", shape, task_axes=axes)

    def call(self, gradient_norms=None, gramian_by_layer=None, present=None):
        """Updates the averages and returns the weights."""
        given = self.given(gradient_norms, gramian_by_layer)
        if self.per_layer:
            squares = tf.linalg.diag_part(given)
            given = tf.sqrt(tf.maximum(squares, 0.0))
        seen = seen_tasks(given[0], present)
        steps = self.steps + tf.cast(seen, tf.float32)
        before = tf.reshape(self.averages, given.shape)
        moved = given + self.momentum * (before - given)
        averages = tf.where(seen, moved, before)
        self.steps.assign(steps)
        self.averages.assign(tf.reshape(averages, self.averages.shape))
        norms = self._corrected(averages, steps)
        of_main = tf.gather(norms, [self.main], axis=1)
        ratio = tf.math.divide_no_nan(of_main, norms)
        # Before the main task's first label there is nothing to come near.
        ratio = tf.where(steps[self.main] > 0.0, tf.minimum(ratio, 1e30), 1.0)
        main = tf.one_hot(self.main, given.shape[1]) > 0.0
        weights = tf.where(main, 1.0, self.relax * ratio + 1.0 - self.relax)
        return self.returned(tf.where(seen, weights, 0.0))

    def _corrected(self, averages, steps):
        """Returns averages that begin at 0 as if they did not."""
        if self.momentum == 0.0:
            return averages
        mass = -tf.math.expm1(steps * math.log(self.momentum))
        return tf.math.divide_no_nan(averages, mass)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {
            "primary": self.primary,
            "relax": self.relax,
            "momentum": self.momentum,
        }
        return {**super().get_config(), **own}
