"""Tchebycheff scalarisation."""

import keras
import tensorflow as tf

from keras_mtl.checks import above, at_least, finite
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.by_task import ByTask, by_task, map_values


@keras.saving.register_keras_serializable(package="keras_mtl")
class Tchebycheff(Weighter):
    """The whole weight on the task that is worst off.

    The objective is the maximum over tasks of `preference * (losses - ideal)`.
    Tasks that share the maximum exactly share the weight in proportion to
    their preferences, which is the limit of the smooth form.

    This is our reading of Mao et al. (2020). The smooth form, with
    `smoothing > 0`, is that of Lin et al. (2024).

    Example:

    >>> Tchebycheff()(losses=[1.0, 2.0])  # -> [0.0, 2.0]
    >>> Tchebycheff(smoothing=1.0)(losses=[1.0, 2.0])  # -> [0.538, 1.462]

    Args:
        preference: List of floats above 0 in the order of the heads, or dict
            from task name to float. `None` means 1 for every task.
        ideal: Float for all tasks, list or dict by task: the losses that are
            aimed at.
        smoothing: Float, at least 0, in units of loss. With a value above 0
            the weights are proportional to `preference * softmax(preference *
            (losses - ideal) / smoothing)`.

    Call arguments:
        losses: `(K,)` float32, mean loss of each task.
        present: `(K,)` float32, 1 for a task with a label in the batch. An
            absent task has weight 0.

    Returns:
        `(K,)` float32 weights, non-negative, summing to K.

    Raises:
        ValueError: If an argument is out of range or does not match the
            tasks.

    Reference:
        - [Mao et al., 2020](https://aclanthology.org/2020.acl-main.388)
        - [Lin et al., 2024](https://arxiv.org/abs/2402.19078)
    """

    def __init__(
        self,
        preference: ByTask | None = None,
        ideal: float | ByTask = 0.0,
        smoothing: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.preference = None
        if preference is not None:
            self.preference = map_values(
                lambda value: above("preference", value, 0.0), preference
            )
        self.ideal = map_values(lambda value: finite("ideal", value), ideal)
        self.smoothing = at_least("smoothing", smoothing, 0.0)

    def build(self, losses_shape):
        """Checks that the arguments match the tasks."""
        self._by_task(*losses_shape)

    def _by_task(self, num_tasks):
        preference = 1.0 if self.preference is None else self.preference
        preference = by_task(
            "preference", preference, num_tasks, self.task_names
        )
        ideal = by_task("ideal", self.ideal, num_tasks, self.task_names)
        return tf.constant(preference), tf.constant(ideal)

    def call(self, losses, present=None):
        """Returns the weights."""
        num_tasks = losses.shape[0]
        preference, ideal = self._by_task(num_tasks)
        seen = tf.ones_like(losses) if present is None else present
        excess = preference * (losses - ideal)
        excess = tf.where(seen > 0.0, excess, -float("inf"))
        # 0 for the worst task: no overflow, whatever the smoothing.
        excess -= tf.reduce_max(excess)
        if self.smoothing > 0.0:
            share = tf.exp(excess / self.smoothing)
        else:
            share = tf.cast(excess >= 0.0, tf.float32)
        share *= preference
        weights = num_tasks * share / tf.reduce_sum(share)
        return tf.where(
            tf.reduce_any(seen > 0.0),
            weights,
            tf.convert_to_tensor(self.task_weights),
        )

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        own = {
            "preference": map_values(lambda value: value, self.preference),
            "ideal": map_values(lambda value: value, self.ideal),
            "smoothing": self.smoothing,
        }
        return {**super().get_config(), **own}
