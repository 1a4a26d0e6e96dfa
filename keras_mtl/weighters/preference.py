"""Preferences between tasks, for methods with a place for them."""

import tensorflow as tf

from keras_mtl.checks import at_least
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.by_task import by_task, map_values


class RayWeighter(Weighter):
    """A weighter that draws the losses to a ray of preferred proportions.

    Args:
        preference: List of floats, at least 0, in the order of the heads, or
            dict from task name to float: the direction of the ray. `None`
            means the same share for every task.

    Raises:
        ValueError: If the preferences are negative or all 0, or do not match
            the tasks.
    """

    def __init__(self, preference=None, **kwargs):
        super().__init__(**kwargs)
        if preference is not None:
            preference = checked_preference(preference)
        self.preference = preference

    def build(self, losses_shape):
        """Checks that the arguments match the tasks."""
        if self.preference is not None:
            self.by_task("preference", self.preference, *losses_shape)

    def by_task(self, name, values, num_tasks):
        """Returns `(K,)` float64 values of an argument in head order."""
        values = by_task(name, values, num_tasks, self.task_names)
        return tf.constant(values, tf.float64)

    def ray(self, seen):
        """Returns the `(K,)` float64 preferences, 0 for an absent task."""
        num_tasks = seen.shape[0]
        equal = 1.0 / num_tasks
        given = equal if self.preference is None else self.preference
        ray = self.by_task("preference", given, num_tasks)
        return tf.where(seen, ray, tf.zeros_like(ray))

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        preference = map_values(lambda value: value, self.preference)
        return {**super().get_config(), "preference": preference}


def direction(vector):
    """Returns a vector brought to length 1, and its length; 0 stays 0."""
    largest = tf.reduce_max(tf.abs(vector))
    scaled = tf.math.divide_no_nan(vector, largest)
    length = tf.sqrt(tf.reduce_sum(scaled * scaled))
    return tf.math.divide_no_nan(scaled, length), length * largest


def checked_preference(preference):
    """Returns preferences, a list or a dict by task, if they can be such.

    Raises:
        ValueError: If they are negative, or all 0.
    """
    if not isinstance(preference, (dict, list, tuple)):
        raise ValueError(
            "Argument `preference` must be a list, or a dict from task name "
            f"to float. Received: preference={preference!r}"
        )
    preference = map_values(
        lambda value: at_least("preference", value, 0.0), preference
    )
    values = preference
    if isinstance(preference, dict):
        values = preference.values()
    if not any(values):
        raise ValueError(
            "Argument `preference` must be above 0 for at least one task. "
            f"Received: preference={preference!r}"
        )
    return preference
