"""The base class of weighters that read the Gramian alone."""

import tensorflow as tf

from keras_mtl.solvers import task_gradients
from keras_mtl.solvers.compiling import one_kernel
from keras_mtl.weighters.by_task import ByTask, by_task, map_values
from keras_mtl.weighters.gradient_weighter import GradientWeighter
from keras_mtl.weighters.preference import checked_preference
from keras_mtl.weighters.scopes import Scope


class GramianWeighter(GradientWeighter):
    """A weighter whose weights are a function of the Gramian alone.

    A subclass defines `combine`, a function of tensors without state. It is
    called in one place, and compiled as one kernel unless the class attribute
    `as_one_kernel` is false.

    Args:
        scope: As in `GradientWeighter`.
    """

    scales_heads = False
    default_scope = "shared"
    as_one_kernel = True

    def combine(self, gradients):
        """Returns `(K,)` float64 weights.

        Args:
            gradients: `keras_mtl.solvers.TaskGradients`, in which an absent
                task has no gradient.
        """
        raise NotImplementedError

    def call(self, gramian, present=None):
        """Returns the weights."""
        weights_of = self._weights
        if self.as_one_kernel:
            weights_of = one_kernel(weights_of)
        return weights_of(gramian, present)

    def _weights(self, gramian, present):
        gradients = task_gradients(gramian, present)
        weights = gradients.present * self.combine(gradients)
        return tf.cast(weights, tf.float32)


class PreferenceWeighter(GramianWeighter):
    """A Gramian weighter in whose formula each task may have a preference.

    Args:
        preference: List of floats, at least 0, in the order of the heads, or
            dict from task name to float. `None` means the method's own.
        scope: As in `GradientWeighter`.

    Raises:
        ValueError: If the preferences are negative or all 0, or do not match
            the tasks.
    """

    def __init__(
        self,
        preference: ByTask | None = None,
        scope: Scope | None = None,
        **kwargs,
    ):
        super().__init__(scope=scope, **kwargs)
        self.preference = None
        if preference is not None:
            self.preference = checked_preference(preference)

    def build(self, gramian_shape):
        """Checks that the preferences match the tasks."""
        self._preferred(gramian_shape[0])

    def preferred(self, gradients, default):
        """Returns the `(K,)` float64 preferences; 0 for an absent task.

        Args:
            gradients: `TaskGradients`.
            default: `(K,)` float64, the method's own.
        """
        if self.preference is None:
            return default
        preference = self._preferred(default.shape[0])
        return gradients.present * tf.constant(preference, tf.float64)

    def _preferred(self, num_tasks):
        return by_task(
            "preference", self.preference, num_tasks, self.task_names
        )

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        preference = map_values(lambda value: value, self.preference)
        return {**super().get_config(), "preference": preference}
