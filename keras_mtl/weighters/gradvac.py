"""Gradient vaccine."""

import keras
import tensorflow as tf

from keras_mtl.checks import between
from keras_mtl.solvers import task_gradients
from keras_mtl.solvers.compiling import one_kernel
from keras_mtl.weighters.layerwise import LayerwiseWeighter
from keras_mtl.weighters.random_draws import (
    add_random_state,
    checked_seed,
    draw_orders,
)
from keras_mtl.weighters.scopes import Scope


@keras.saving.register_keras_serializable(package="keras_mtl")
class GradVac(LayerwiseWeighter):
    """Weights of the sum of gradients turned to the angles that are usual.

    Each task's gradient is taken through the other tasks in random order, and
    where its cosine to another one's is below their moving average, it is
    turned until it has that. The averages start at 0, where only conflicts
    are resolved. The weights combine the shared gradient only; each head gets
    its task's plain gradient.

    Other implementations add 1e-8 to the norms, which switches the method off
    for gradients of that order; nothing is added here.

    Example:

    >>> GradVac(shuffle=False)(gramian=[[18.0, -22.0], [-22.0, 38.0]])
    [2.2222, 1.5789]

    Args:
        momentum: Float in [0, 1), of the average cosines. One minus the
            paper's `β`.
        shuffle: Boolean. Whether each task meets the others in a random order,
            drawn anew at each call, or in the order of the heads.
        seed: Integer, at least 0. Seed of the orders; `None` draws one, which
            `get_config` returns.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`.
        per_layer: Boolean. Whether each layer's gradients are turned by
            themselves, in the same orders, to usual angles of their own.

    Call arguments:
        gramian: `(K, K)` float32, `gramian[i, j] = <g[i], g[j]>`, in squared
            loss per squared parameter. Positive semi-definite.
        gramian_by_layer: `(layers, K, K)` float32, with `per_layer`, instead
            of `gramian`: the terms whose sum it is.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0, and keeps its cosines.

    Returns:
        `(K,)` float32 weights of the published sum, none below 1: all 1 where
        nothing is turned, hence without a fixed sum. With `per_layer` their
        mean over the layers.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Wang et al., 2021](https://arxiv.org/abs/2010.05874)
    """

    def __init__(
        self,
        momentum: float = 0.5,
        shuffle: bool = True,
        seed: int | None = None,
        scope: Scope | None = None,
        **kwargs,
    ):
        super().__init__(scope=scope, **kwargs)
        self.momentum = between("momentum", momentum, 0.0, 1.0)
        self.shuffle = bool(shuffle)
        self.seed = checked_seed(seed)

    def build(self, gramian_shape):
        """Creates the average cosines and the random state."""
        shape, first = (*self.layer_axis, *gramian_shape), len(self.layer_axis)
        axes = (first, first + 1)
        self.usual = self.add_state("usual", shape, task_axes=axes)
        add_random_state(self)

    def call(self, gramian=None, gramian_by_layer=None, present=None):
        """Updates the average cosines and returns the weights."""
        gramian = self.given(gramian, gramian_by_layer)
        orders = draw_orders(self, gramian.shape[-1])
        usual = tf.reshape(self.usual, gramian.shape)
        weights, usual = one_kernel(self._turned)(
            gramian, present, orders, usual
        )
        self.usual.assign(tf.reshape(usual, self.usual.shape))
        return self.returned(weights)

    def _turned(self, gramian, present, orders, usual):
        gradients = task_gradients(gramian, present)
        cosines, moving = gradients.cosines, gradients.moving
        layers, size, _ = cosines.shape
        own = tf.range(size)
        one = tf.eye(size, None, [layers], tf.float64)

        def meet(step, turned, products, squares, usual):
            # Row i: task i's gradient as a combination of unit gradients, and
            # its inner products with them; at first a unit gradient itself.
            others = tf.gather(orders, step, axis=1)
            at = tf.one_hot(others, size, dtype=tf.float64)
            length = tf.sqrt(tf.maximum(squares, 0.0))
            inner = tf.reduce_sum(products * at, axis=2)
            cosine = tf.math.divide_no_nan(inner, length)
            cosine = tf.clip_by_value(cosine, -1.0, 1.0)
            target = tf.reduce_sum(usual * at, axis=2)
            other_moves = tf.gather(moving, others, axis=1)
            pair = (others != own) & moving & other_moves
            # What brings the cosine to the target.
            tangent = tf.math.divide_no_nan(target, _sine(target))
            change = length * (tangent * _sine(cosine) - cosine)
            known = _sine(target) > 0.0
            change = tf.where(pair & (cosine < target) & known, change, 0.0)
            usual += tf.where(
                (at > 0.0) & pair[..., None],
                (1.0 - self.momentum) * (cosine - target)[..., None],
                0.0,
            )
            return (
                step + 1,
                turned + change[..., None] * at,
                products
                + change[..., None] * tf.gather(cosines, others, axis=1),
                squares + change * (2.0 * inner + change),
                usual,
            )

        _, turned, _, _, usual = tf.while_loop(
            lambda step, *_: step < size,
            meet,
            (
                tf.constant(0),
                one,
                cosines,
                tf.ones((layers, size), tf.float64),
                tf.cast(usual, tf.float64),
            ),
        )
        added = tf.linalg.matvec(
            turned - one, gradients.norms, transpose_a=True
        )
        weights = gradients.present + gradients.per_norm(added)
        return tf.cast(weights, tf.float32), tf.cast(usual, tf.float32)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {
            "momentum": self.momentum,
            "shuffle": self.shuffle,
            "seed": self.seed,
        }
        return {**super().get_config(), **own}


def _sine(cosine):
    return tf.sqrt(tf.maximum(1.0 - cosine * cosine, 0.0))
