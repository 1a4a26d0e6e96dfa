"""Another weighter's weights, with fixed weights for some tasks."""

import keras
import tensorflow as tf

from keras_mtl.checks import at_least, did_you_mean
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.by_task import ByTask, named
from keras_mtl.weighters.wrapper import Wrapper, same_heads


@keras.saving.register_keras_serializable(package="keras_mtl")
class Fixed(Wrapper):
    """Another weighter's weights, with some tasks' weights given.

    The others keep the weights that the inner weighter finds for all tasks
    together. A given weight is in its scale: `mgda`'s weights sum to 1,
    `slaw`'s to K. A fixed sum is lost.

    Example:

    >>> Fixed("log_losses", [1.0, None])(losses=[0.5, 0.5])  # -> [1.0, 2.0]

    Args:
        weighter: `Weighter`, its name, or a config dict.
        fixed: Dict from task name to float, at least 0; or list in the order
            of the heads, with `None` for the tasks that are not fixed.

    Call arguments:
        **signals: Those of the inner weighter.

    Returns:
        `(K,)` float32 weights.

    Raises:
        ValueError: If a weight is out of range, a task is unknown, no task or
            every task is fixed, or the inner weighter's heads have weights of
            their own.
    """

    def __init__(
        self,
        weighter: Weighter | str | dict,
        fixed: ByTask,
        **kwargs,
    ):
        super().__init__(weighter, **kwargs)
        if not isinstance(fixed, dict | list | tuple):
            raise ValueError(
                "Argument `fixed` must be a dict from task name to weight, or "
                "a list with None for the tasks that are not fixed. "
                f"Received: fixed={fixed!r}"
            )
        pairs = fixed.items() if isinstance(fixed, dict) else enumerate(fixed)
        values = {
            task: None if value is None else at_least("fixed", value, 0.0)
            for task, value in pairs
        }
        given = [value for value in values.values() if value is not None]
        if not given:
            raise ValueError(
                "Argument `fixed` must give the weight of at least one task. "
                f"Received: fixed={fixed}. Use the weighter without Fixed."
            )
        if not isinstance(fixed, dict) and len(given) == len(values):
            raise _nothing_left(fixed)
        self.fixed = values if isinstance(fixed, dict) else [*values.values()]
        same_heads(self)

    def build(self):
        """Checks that the weights match the tasks."""
        own = self._by_task()
        inside = [w for w in self.inside() if isinstance(w, Fixed)]
        of_task = zip(own, *(w._by_task() for w in inside), strict=True)
        if all(set(values) != {None} for values in of_task):
            raise _nothing_left(self.fixed, *(w.fixed for w in inside))

    def _by_task(self):
        """Returns the weight of each task in head order, or `None`."""
        num_tasks, names = self.task_weights.shape[0], self.task_names
        if not isinstance(self.fixed, dict):
            if len(self.fixed) != num_tasks:
                raise ValueError(
                    f"Argument `fixed` must have one entry for each of the "
                    f"{num_tasks} tasks. Received: fixed={self.fixed}"
                )
            return self.fixed
        names = named("fixed", self.fixed, num_tasks, names)
        for task in self.fixed:
            if task not in names:
                raise ValueError(
                    f"Argument `fixed` names the unknown task {task!r}. Tasks: "
                    f"{names}.{did_you_mean(task, names)}"
                )
        values = [self.fixed.get(task) for task in names]
        if None not in values:
            raise _nothing_left(self.fixed)
        return values

    def adapt(self, weights, signals):
        """Returns the weights, some of them as given."""
        values = self._by_task()
        is_fixed = tf.constant([value is not None for value in values])
        given = tf.constant([value or 0.0 for value in values])
        return tf.where(is_fixed, given, weights)

    def get_config(self):
        """Returns the arguments to make this weighter again."""
        kept = self.fixed
        copy = dict(kept) if isinstance(kept, dict) else list(kept)
        return {**super().get_config(), "fixed": copy}


def _nothing_left(*fixed):
    with_it = " together with the Fixed inside," if fixed[1:] else ""
    return ValueError(
        f"Argument `fixed` gives the weight of every task,{with_it} which "
        "leaves the weighter nothing to learn. Received: fixed="
        f"{' and '.join(map(str, fixed))}. Leave a task out, or use "
        "Constant(weights=...)."
    )
