"""Weighters that keep a copy of the scope's variables for each task."""

import tensorflow as tf

from keras_mtl.weighters.gradient_weighter import GradientWeighter

SMALL = ("last_shared_layer", "representation")


class CopiesWeighter(GradientWeighter):
    """A weighter whose state has the size of every task's gradient.

    Args:
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"last_shared_layer"`. `"auto"` is refused.
        large: Boolean. Whether a scope other than the last shared layer and
            the representation may be copied for each task.

    Raises:
        ValueError: Before training, if the scope is larger and `large` is not
            set; with the bytes that it would take.
    """

    default_scope = "last_shared_layer"

    def __init__(self, scope=None, large=False, **kwargs):
        super().__init__(scope=scope, **kwargs)
        self.large = bool(large)

    def bind(self, num_tasks, task_names=None, sizes=None):
        """Creates the state, unless nobody could tell how large it is."""
        if self.scope == "auto" and "number" in self.model_axes:
            raise ValueError(
                f"{type(self).__name__} keeps a copy of the variables of its "
                "scope for each task: argument `scope` must say which. "
                "Received: scope='auto'. Pass scope='last_shared_layer', "
                "scope='representation' for shared inputs, or scope='shared' "
                "with large=True if you have the memory."
            )
        super().bind(num_tasks, task_names, sizes)

    def add_copies(self, name, shape):
        """Adds a `(K, P)` state of zeros, or raises if that is too much."""
        if self.scope not in SMALL and not self.large:
            size = 4 * shape[0] * shape[1]
            raise ValueError(
                f"{type(self).__name__} keeps a copy of the variables of its "
                f"scope for each task: {shape[0]} times {shape[1]:,} numbers "
                f"of the scope {self.scope!r}, {size:,} bytes. Pass "
                "scope='last_shared_layer', or large=True if you have the "
                "memory."
            )
        return self.add_state(name, shape, task_axes=(0,))

    def rows(self, averages, weights):
        """Returns what a `Combination` takes as `rows`, or `None`.

        At the representation it is `None`: every row of a batch has a gradient
        of its own there, which an average over steps cannot stand for.

        Args:
            averages: `(K, P)` float32, a gradient of each task.
            weights: `(K,)` float32.
        """
        if self.scope == "representation":
            return None
        return weights[:, None] * averages

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        return {**super().get_config(), "large": self.large}


def track(average, value, rate, seen):
    """Moves the average gradients of the tasks that are seen.

    Args:
        average: `(K, P)` variable.
        value: `(K, P)` float32, the gradients of this step.
        rate: `(K,)` float32, how far to go from the average to the value.
        seen: `(K,)` booleans.

    Returns:
        `(K, P)` float32, the new averages.
    """
    before = tf.convert_to_tensor(average)
    moved = before + rate[:, None] * (value - before)
    after = tf.where(seen[:, None], moved, before)
    average.assign(after)
    return after
