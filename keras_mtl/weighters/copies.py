"""Weighters that keep a copy of the scope's variables for each task."""

from keras_mtl.weighters.base import GradientWeighter

SMALL = ("last_shared_layer", "representation")


class CopiesWeighter(GradientWeighter):
    """A weighter whose state has the size of every task's gradient.

    Args:
        scope: String, whose gradients; see `GradientWeighter`. By default
            `"last_shared_layer"`.
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

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        return {**super().get_config(), "large": self.large}
