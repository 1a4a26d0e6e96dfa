"""Losses in proportion to preferences, by their distance to the ray."""

import keras
import tensorflow as tf

from keras_mtl.checks import at_least, finite
from keras_mtl.weighters.by_task import ByTask, map_values
from keras_mtl.weighters.preference import RayWeighter, direction
from keras_mtl.weighters.presence import seen_tasks

# A distance below this share of the losses is rounding.
SMALLEST_SHARE = 1e-7


@keras.saving.register_keras_serializable(package="keras_mtl")
class PBI(RayWeighter):
    """Progress along a ray of preferences, and a penalty for leaving it.

    Penalty-based boundary intersection: with the excess losses over `ideal`,
    the objective is their length along the ray of the preferences, plus
    `penalty` times their distance to it.

    Example:

    >>> PBI(penalty=0.0)(losses=[1.0, 3.0])  # -> [0.7071, 0.7071]
    >>> PBI(penalty=5.0)(losses=[1.0, 3.0])  # -> [-2.8284, 4.2426]

    Args:
        preference: List of floats, at least 0, in the order of the heads, or
            dict from task name to float. `None` means the same for every
            task.
        penalty: Float, at least 0. `θ`.
        ideal: Float for all tasks, list or dict by task: the losses at which
            the ray begins.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task.
        present: `(K,)` float32, 1 for a task with a label in the batch. The
            ray is that of these; an absent task keeps its weight.

    Returns:
        `(K,)` float32 weights, the gradient of the objective: without a fixed
        sum, and below 0 for a loss that is small beside its preference.

    Raises:
        ValueError: If an argument is out of range or does not match the
            tasks.

    Reference:
        - [Zhang and Li, 2007](https://doi.org/10.1109/TEVC.2007.892759)
    """

    def __init__(
        self,
        preference: ByTask | None = None,
        penalty: float = 5.0,
        ideal: float | ByTask = 0.0,
        **kwargs,
    ):
        super().__init__(preference, **kwargs)
        self.penalty = at_least("penalty", penalty, 0.0)
        self.ideal = map_values(lambda value: finite("ideal", value), ideal)

    def build(self, losses_shape):
        """Checks that the arguments match the tasks."""
        super().build(losses_shape)
        self.by_task("ideal", self.ideal, *losses_shape)

    def call(self, losses, present=None):
        """Returns the weights."""
        seen = seen_tasks(losses, present)
        ray, _ = direction(self.ray(seen))
        ideal = self.by_task("ideal", self.ideal, losses.shape[0])
        excess = tf.where(seen, tf.cast(losses, tf.float64) - ideal, 0.0)
        excess, _ = direction(excess)
        across = excess - tf.reduce_sum(excess * ray) * ray
        outwards, distance = direction(across)
        outwards = tf.where(distance > SMALLEST_SHARE, outwards, 0.0)
        weights = tf.cast(ray + self.penalty * outwards, tf.float32)
        return tf.where(seen, weights, self.task_weights)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {
            "penalty": self.penalty,
            "ideal": map_values(lambda value: value, self.ideal),
        }
        return {**super().get_config(), **own}
