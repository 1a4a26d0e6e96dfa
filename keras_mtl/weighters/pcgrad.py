"""Projecting conflicting gradients."""

import keras
import tensorflow as tf

from keras_mtl.solvers.compiling import one_kernel
from keras_mtl.solvers.diagonal import diagonal
from keras_mtl.weighters.layerwise import LayerwiseWeighter
from keras_mtl.weighters.random_draws import (
    add_random_state,
    checked_seed,
    draw_orders,
)
from keras_mtl.weighters.scopes import Scope


@keras.saving.register_keras_serializable(package="keras_mtl")
class PCGrad(LayerwiseWeighter):
    """Weights of the sum of gradients freed from pairwise conflicts.

    Each task's gradient is compared with those of the other tasks in random
    order. Where it points against one of them, it is projected onto the plane
    normal to that task's original gradient. The results are combinations of
    the gradients, so that the Gramian (the matrix of their inner products) is
    enough to find the weights of the sum. The weights apply to shared
    variables only; each head gets its task's plain gradient.

    LibMTL also projects a turned gradient against its own original, and adds
    1e-8 to squared norms, which switches the method off for small gradients.

    Example:

    >>> PCGrad(shuffle=False)(gramian=[[18.0, -22.0], [-22.0, 38.0]])
    [2.2222, 1.5789]

    Args:
        shuffle: Boolean. Whether each task meets the others in a random order,
            drawn anew at each call, or in the order of the heads.
        seed: Integer, at least 0. Seed of the orders; `None` draws one, which
            `get_config` returns.
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"shared"`.
        per_layer: Boolean. Whether the gradients of each layer are freed of
            conflicts separately, in the same orders.

    Call arguments:
        gramian: `(K, K)` float32, `gramian[i, j] = <g[i], g[j]>`, in squared
            loss per squared parameter. Positive semi-definite.
        gramian_by_layer: `(layers, K, K)` float32, with `per_layer`, instead
            of `gramian`: the terms whose sum it is.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0 and projects no other.

    Returns:
        `(K,)` float32 weights, all 1 without conflicts. They have no fixed
        sum. With `per_layer`, their mean over the layers is shown.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Yu et al., 2020](https://arxiv.org/abs/2001.06782)
    """

    def __init__(
        self,
        shuffle: bool = True,
        seed: int | None = None,
        scope: Scope | None = None,
        **kwargs,
    ):
        super().__init__(scope=scope, **kwargs)
        self.shuffle = bool(shuffle)
        self.seed = checked_seed(seed)

    def build(self):
        """Creates the random state: the seed and the number of calls."""
        add_random_state(self)

    def call(self, gramian=None, gramian_by_layer=None, present=None):
        """Returns the weights."""
        gramian = self.given(gramian, gramian_by_layer)
        orders = draw_orders(self, gramian.shape[-1])
        return self.returned(
            one_kernel(self._projected)(gramian, present, orders)
        )

    def _projected(self, gramian, present, orders):
        num_tasks = gramian.shape[-1]
        if present is not None:
            gramian *= present[:, None] * present
        # float64: what is a conflict shall not hang on the order of a sum.
        gramian = tf.cast(gramian, tf.float64)
        own = tf.range(num_tasks)
        squares = diagonal(gramian)

        def meet(step, coefficients):
            # Row i: task i's gradient, as coefficients of all gradients.
            others = tf.gather(orders, step, axis=1)
            columns = tf.gather(gramian, others, axis=1)
            inner = tf.reduce_sum(coefficients * columns, axis=2)
            conflict = (inner < 0.0) & (others != own)
            square = tf.gather(squares, others, axis=1)
            length = tf.math.divide_no_nan(inner, square)
            length = tf.where(conflict, length, 0.0)
            onto = tf.one_hot(others, num_tasks, dtype=tf.float64)
            return step + 1, coefficients - length[..., None] * onto

        _, coefficients = tf.while_loop(
            lambda step, coefficients: step < num_tasks,
            meet,
            (
                tf.constant(0),
                tf.eye(num_tasks, None, gramian.shape[:1], tf.float64),
            ),
        )
        weights = tf.cast(tf.reduce_sum(coefficients, axis=1), tf.float32)
        return weights if present is None else present * weights

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {"shuffle": self.shuffle, "seed": self.seed}
        return {**super().get_config(), **own}
