"""Variables that hold a part for each task, saved by the tasks' names."""

import keras
import numpy as np

from keras_mtl import compat


class ByTask(keras.layers.Layer):
    """A layer for each of K tasks, whose variables have a part of each.

    Each task's part starts and trains as a layer of its own. It stands on the
    last axis, or of variables with three axes on the first, one task's after
    the other's.
    """

    task_names = ()

    def save_own_variables(self, store):
        """Saves each task's part under its name."""
        for variable in compat.own_trainable(self):
            values = np.asarray(variable)
            parts = np.split(values, len(self.task_names), _axis(values))
            for task, part in zip(self.task_names, parts, strict=True):
                store[f"{variable.name}_{task}"] = part

    def load_own_variables(self, store):
        """Loads the tasks' parts, in whatever order they were."""
        for variable in compat.own_trainable(self):
            names = [f"{variable.name}_{task}" for task in self.task_names]
            missing = [name for name in names if name not in store]
            if missing:
                raise ValueError(
                    f"The saved {type(self).__name__} have none of these: "
                    f"{missing}. Load them into an encoder of the same tasks. "
                    f"Received: {sorted(store.keys())}."
                )
            parts = [np.asarray(store[name]) for name in names]
            variable.assign(np.concatenate(parts, axis=_axis(parts[0])))


def _axis(values):
    return 0 if values.ndim == 3 else -1
