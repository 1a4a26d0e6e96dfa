"""Relative loss balancing with random lookback."""

import keras
import tensorflow as tf

from keras_mtl.checks import above, between, probability
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.presence import seen_tasks, softmax_weights
from keras_mtl.weighters.random_draws import (
    add_random_state,
    checked_seed,
    draw_integers,
)
from keras_mtl.weighters.softadapt import ratios


@keras.saving.register_keras_serializable(package="keras_mtl")
class ReLoBRaLo(Weighter):
    """Moving weights that follow the losses' progress, now and then overall.

    `balanced(X)` is K times the softmax of `losses / (temperature * X)`. The
    weights move by `1 - momentum` towards `balanced(previous losses)`, from
    where they are or, once in a while at random, from `balanced(first
    losses)`. They are 1 in the first step. Made for physics-informed networks.

    Example:

    >>> relobralo = ReLoBRaLo(momentum=0.5, lookback=1.0)
    >>> relobralo(losses=[1.0, 1.0])  # -> [1.0, 1.0]
    >>> relobralo(losses=[0.5, 1.0])  # half way to [0.755, 1.245]
    [0.878, 1.122]

    Args:
        momentum: Float in [0, 1), the paper's `α`. Weight of the past.
        lookback: Float in [0, 1], the paper's `E[ρ]`. Probability that the
            past are the latest weights, and not those of the first losses.
        temperature: Float, above 0, the paper's `τ`.
        seed: Integer, at least 0. Seed of the draws; `None` draws one, which
            `get_config` returns.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task, positive.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task keeps its weight; the others share what remains.

    Returns:
        `(K,)` float32 weights, non-negative, summing to K.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Bischof and Kraus, 2021](https://arxiv.org/abs/2110.09813)
    """

    def __init__(
        self,
        momentum: float = 0.95,
        lookback: float = 0.99,
        temperature: float = 1.0,
        seed: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.momentum = between("momentum", momentum, 0.0, 1.0)
        self.lookback = probability("lookback", lookback)
        self.temperature = above("temperature", temperature, 0.0)
        self.seed = checked_seed(seed)

    def build(self, losses_shape):
        """Creates the first and the previous losses, and the random state."""
        self.started = self.add_state("started", losses_shape)
        self.first = self.add_state("first", losses_shape)
        self.previous = self.add_state("previous", losses_shape)
        add_random_state(self)

    def call(self, losses, present=None):
        """Draws where to start from, and moves the weights."""
        seen = seen_tasks(losses, present)
        states = self.first, self.previous, self.started
        before = [tf.convert_to_tensor(state) for state in states]
        started = before[-1] > 0.0
        first, previous = (tf.where(started, v, losses) for v in before[:2])
        latest = tf.convert_to_tensor(self.task_weights)
        # Whole numbers: fractions differ under XLA.
        drawn = draw_integers(self, ())
        stays = drawn < round(self.lookback * 2**32)
        logits = ratios(losses, tf.stack([first, previous])) / self.temperature
        overall, new = tf.unstack(softmax_weights(logits, seen, latest))
        past = tf.where(stays, latest, overall)
        weights = self.momentum * past + (1.0 - self.momentum) * new
        begins = ~tf.reduce_any(started)
        after = first, losses, tf.ones_like(losses)
        for state, old, new in zip(states, before, after, strict=True):
            state.assign(tf.where(seen, new, old))
        return tf.where(begins, latest, weights)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {
            "momentum": self.momentum,
            "lookback": self.lookback,
            "temperature": self.temperature,
            "seed": self.seed,
        }
        return {**super().get_config(), **own}
