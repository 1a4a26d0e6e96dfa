"""The states of layers and weighter, which a skipped step restores."""

import tensorflow as tf

from keras_mtl.precision import assigned_since, captured, keep_if
from keras_mtl.training import random_state


class StatesBefore:
    """The values of a model's states before a step.

    A state is what the step assigns: a frozen table of embeddings is none,
    and costs nothing. The states of random layers go on, whatever happens.

    Args:
        model: A built and compiled `MultiTaskModel`.
    """

    def __init__(self, model):
        random = {id(state) for state in random_state.states(model)}
        own = {id(v) for v in model.weighter.variables}
        self._states = [
            variable
            for variable in model.non_trainable_variables
            if id(variable) in own or id(variable) not in random
        ]
        self._before = [tf.convert_to_tensor(state) for state in self._states]
        self._handles = captured(self._states)

    def restore_unless(self, finite):
        """Puts back what was assigned since, unless `finite`."""
        if tf.executing_eagerly():
            if not finite:
                keep_if(finite, self._states, self._before)
            return
        states, before = assigned_since(
            self._states, self._before, self._handles
        )
        keep_if(finite, states, before)


class ForwardAgain:
    """Lets a forward pass be run again as if it were the first.

    Random layers draw what they drew, and no state is left changed: neither
    theirs nor the statistics of batch normalisation.

    Args:
        model: A built and compiled `MultiTaskModel`, before the first pass.
    """

    def __init__(self, model):
        self._model = model
        self._random = random_state.states(model)
        self._first = [tf.convert_to_tensor(v) for v in self._random]

    def run(self, forward):
        """Returns the result of `forward()`."""
        states = StatesBefore(self._model)
        latest = [tf.convert_to_tensor(v) for v in self._random]
        _assign(self._random, self._first)
        result = forward()
        _assign(self._random, latest)
        states.restore_unless(tf.constant(False))
        return result


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
