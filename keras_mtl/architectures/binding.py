"""Layers for tasks whose names are given, or those of a model's heads."""

from collections.abc import Iterable
from typing import Any

import keras

from keras_mtl import compat
from keras_mtl.checks import distinct_names


class BoundToTasks(keras.layers.Layer):
    """A layer that has something for each task of a model.

    Args:
        task_names: Iterable of strings, or `None` until `bind` gives them.

    Attributes:
        task_names: Tuple of strings, or `None`.
        names_given: Whether the constructor was given them.
    """

    def __init__(self, task_names: Iterable[str] | None = None, **kwargs):
        super().__init__(**kwargs)
        self.names_given = task_names is not None
        self.task_names: Any = None
        if self.names_given:
            self.task_names = self.checked_names(task_names)
        self._of_tasks: tuple | None = None

    def checked_names(self, task_names) -> tuple[str, ...]:
        """Returns the names in the order in which they are kept, or raises."""
        return distinct_names(task_names)

    def task_layers(self, task_names: tuple[str, ...]) -> dict:
        """Returns a dict from attribute to layer, those that tasks have."""
        return {}

    def bind(self, task_names: Iterable[str] | None):
        """Fixes the tasks, and makes the layers that they have.

        Args:
            task_names: Iterable of strings; `None` leaves them open.

        Raises:
            ValueError: If a name is not usable, or other tasks are fixed.
        """
        if task_names is None:
            return
        names = self.checked_names(task_names)
        fixed = names if self.task_names is None else self.task_names
        if set(names) != set(fixed):
            kind = type(self).__name__
            raise ValueError(
                f"{kind} has other tasks than the model. Expected: "
                f"{list(names)}. Received: {list(fixed)}. Make a new {kind}."
            )
        if self._of_tasks is None:
            layers = self.task_layers(fixed)
            for name, layer in layers.items():
                setattr(self, name, layer)
            self._of_tasks = tuple(layers)
        self.task_names = fixed

    def require_tasks(self):
        """Makes sure that there are tasks, and their layers, or raises."""
        if self.task_names is None:
            raise ValueError(
                f"{type(self).__name__} does not know its tasks yet. Pass it "
                "task_names=[...], or give it to MultiTaskModel, which binds "
                "it to the names of the heads."
            )
        if self._of_tasks is None:
            self.bind(self.task_names)

    def drop_task_layers(self):
        """Removes the layers of `task_layers`, for others in their place."""
        for name in self._of_tasks or ():
            layer = getattr(self, name)
            delattr(self, name)
            compat.tracker_of(self).untrack(layer)
        self._of_tasks = ()
