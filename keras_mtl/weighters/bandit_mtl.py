"""Weights of an adversary who may not stray far from uniform."""

import math

import keras
import tensorflow as tf

from keras_mtl.checks import above, at_least
from keras_mtl.solvers.compiling import one_kernel
from keras_mtl.weighters.base import Weighter

# Bisection at many points at once: each round narrows a range of logarithms,
# at most 60 wide, by a factor of 31.
ROUNDS, POINTS = 8, 32


@keras.saving.register_keras_serializable(package="keras_mtl")
class BanditMTL(Weighter):
    """Weights that an adversary raises on the tasks with large losses.

    The adversary moves a probability vector `p` over the tasks by mirror
    ascent on `sum(p * losses)`, inside the ball of radius `radius` around the
    uniform one, in Kullback-Leibler divergence. This regularises the variance
    of the tasks' losses. New weights are used in the same step.

    A radius of 0 gives uniform weights; one of `log(K)` or more does not bind:
    without a radius this is GroupDRO (Sagawa et al., 2020): `GroupDRO()`, by
    name `group_dro`, whose step size is 0.01 by default.
    At K = 4 the default already lets one task take 96 % of the weight: search
    the radius on validation data.

    Example:

    >>> BanditMTL()(losses=[1.0, 2.0])  # exp(0.5 L) -> [0.755, 1.245]

    Args:
        radius: Float, at least 0, the paper's `rho`. Largest divergence of the
            probabilities from uniform, in nats. `None` leaves them free.
        step_size: Float, above 0, the paper's `eta_p`. Step of the ascent, per
            unit of loss.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task keeps its weight; the others share what remains.

    Returns:
        `(K,)` float32 weights, non-negative, summing to K.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Mao et al., 2021](https://aclanthology.org/2021.acl-long.428)
        - [Sagawa et al., 2020](https://arxiv.org/abs/1911.08731)
    """

    def __init__(self, radius: float = 1.2, step_size: float = 0.5, **kwargs):
        super().__init__(**kwargs)
        if radius is not None:
            radius = at_least("radius", radius, 0.0)
        self.radius = radius
        self.step_size = above("step_size", step_size, 0.0)

    def build(self, losses_shape):
        """Creates the logarithms of the probabilities."""
        uniform = keras.initializers.Constant(-math.log(losses_shape[0]))
        self.log_probabilities = self.add_state(
            "log_probabilities", losses_shape, uniform
        )

    def call(self, losses, present=None):
        """Moves the probabilities and returns K times them."""
        num_tasks = losses.shape[0]
        if self.radius == 0.0:
            return tf.ones_like(losses)
        seen = tf.ones_like(losses) if present is None else present
        # float64: where an absent task uses up the radius, little is left.
        latest = tf.cast(self.log_probabilities, tf.float64)
        ascent = latest + self.step_size * tf.cast(losses, tf.float64)
        moved = one_kernel(self._project)(ascent, latest, seen > 0.0)
        self.log_probabilities.assign(tf.cast(moved, tf.float32))
        return num_tasks * tf.cast(tf.exp(moved), tf.float32)

    def _project(self, ascent, latest, seen):
        """Returns the nearest log probabilities inside the ball.

        They are those of `ascent / (1 + λ)`, whose divergence falls with λ.
        """
        log_tasks = math.log(ascent.shape[0])
        # 0 if all tasks are present, up to the rounding of earlier steps.
        log_mass = _log_sum(latest, seen) - tf.reduce_logsumexp(latest)
        highest = tf.reduce_max(tf.where(seen, ascent, -math.inf))
        below = tf.where(seen, ascent - highest, 0.0)
        spread = -tf.reduce_min(below)
        shape = tf.math.divide_no_nan(below, spread)  # in [-1, 0]

        def log_probabilities(sharpness):
            logits = sharpness * shape
            shared = logits - _log_sum(logits, seen) + log_mass
            return tf.where(seen, shared, latest)

        if self.radius is None or self.radius >= log_tasks:
            return log_probabilities(spread)

        mask, mass = tf.cast(seen, tf.float64), tf.exp(log_mass)
        fixed = mass * (log_mass + log_tasks) + tf.reduce_sum(
            (1.0 - mask) * tf.exp(latest) * (latest + log_tasks)
        )

        def inside(sharpness):
            odds = mask * tf.exp(sharpness[:, None] * shape)
            total = tf.reduce_sum(odds, 1)
            mean = sharpness * tf.reduce_sum(odds * shape, 1) / total
            return fixed + mass * (mean - tf.math.log(total)) <= self.radius

        grid = tf.linspace(tf.zeros((), tf.float64), 1.0, POINTS)

        def narrow(rounds, low, high):
            points = low + (high - low) * grid
            fits = tf.cast(inside(tf.exp(points)), tf.int32)
            last = tf.maximum(tf.reduce_sum(fits) - 1, 0)
            after = tf.minimum(last + 1, POINTS - 1)
            # No slices: with a computed index XLA compiles anew each call.
            bounds = tf.gather(points, [last, after])
            return rounds + 1, bounds[0], bounds[1]

        # sharpness = spread / (1 + λ), searched over its logarithm. A loop:
        # XLA would fuse unrolled rounds, and repeat each in the next ones.
        high = tf.math.log(tf.maximum(spread, 1e-9))
        low = tf.minimum(high, math.log(1e-8))
        free = inside(spread[None])[0]
        _, low, _ = tf.while_loop(
            lambda rounds, low, high: (rounds < ROUNDS) & ~free,
            narrow,
            (0, low, high),
        )
        return log_probabilities(tf.where(free, spread, tf.exp(low)))

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {"radius": self.radius, "step_size": self.step_size}
        return {**super().get_config(), **own}


def _log_sum(logits, seen):
    return tf.reduce_logsumexp(tf.where(seen, logits, -math.inf))
