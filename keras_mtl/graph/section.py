"""A functional model in two parts, below and above a cut."""

from typing import cast

import keras

from keras_mtl.tasks.separate import Cut


class Section:
    """A functional model that runs in two parts.

    Args:
        inputs: Symbolic inputs of the model, in its structure.
        outputs: Dict from task name to symbolic output.
        leaves: List of tensors, the cut.
        others: List of tensors, what is read above it without a gradient,
            such as masks, or by outputs that do not train.

    Attributes:
        below: Keras model, inputs -> what is given to the part above: the
            cut, and the others.
        given: List of these tensors.
    """

    def __init__(self, inputs, outputs, leaves, others):
        self.given = [*leaves, *others]
        self._num_leaves, self._outputs = len(leaves), outputs
        self.is_single = len(self.given) == 1
        below = self.given[0] if self.is_single else self.given
        self.below = keras.Model(inputs, below)
        self._above = keras.Function(self.given, outputs)
        self._above_of_task = {}

    def predict(self, given, by_task=False) -> dict:
        """Returns the outputs, of what `below` returned, or by task."""
        if not by_task:
            return cast(dict, self._above(keras.tree.flatten(given)))
        return {
            task: self.above(task)(keras.tree.flatten(given[task]))
            for task in self._outputs
            if task in given
        }

    def above(self, task):
        """Returns the function from what is given to one output."""
        # A model of Keras would warn of masks, which a function passes on.
        if task not in self._above_of_task:
            self._above_of_task[task] = keras.Function(
                self.given, self._outputs[task]
            )
        return self._above_of_task[task]

    def leaves(self, cut, by_task) -> tuple:
        """Returns a `Cut` and cuts by task without what is read besides."""
        number = self._num_leaves
        if len(self.given) == number:
            return cut, by_task
        if isinstance(cut.tensors, dict):
            kept = [{k: v[:number] for k, v in p.items()} for p in cut[:2]]
        else:
            kept = [part[:number] for part in cut[:2]]
        by_task = {task: part[:number] for task, part in by_task.items()}
        return Cut(*kept), by_task
