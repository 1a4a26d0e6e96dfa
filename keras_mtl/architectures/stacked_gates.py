"""Gates of all tasks in one product."""

import keras
import numpy as np
from keras import ops

from keras_mtl import compat
from keras_mtl.architectures.select_gate import SelectGate
from keras_mtl.architectures.softmax_gate import SoftmaxGate
from keras_mtl.layers.initial_heads import initial_heads


class ByTask(keras.layers.Layer):
    """A gate for each task, whose variables have columns of each.

    Each task's columns start and train as a gate of its own, and are saved by
    the task's name. They stand on the last axis, one task's after the other's.
    """

    task_names = ()

    def bind(self, num_experts, task_names=()):
        """Sets the number of experts E and the K tasks, before it is built."""
        super().bind(num_experts)
        self.task_names = tuple(task_names)

    def save_own_variables(self, store):
        """Saves each task's columns under its name."""
        for variable in compat.own_trainable(self):
            columns = np.split(np.asarray(variable), len(self.task_names), -1)
            for task, part in zip(self.task_names, columns, strict=True):
                store[f"{variable.name}_{task}"] = part

    def load_own_variables(self, store):
        """Loads the tasks' columns, in whatever order they were."""
        for variable in compat.own_trainable(self):
            names = [f"{variable.name}_{task}" for task in self.task_names]
            missing = [name for name in names if name not in store]
            if missing:
                raise ValueError(
                    f"The saved gates have none of these: {missing}. Load "
                    "them into an encoder of the same tasks. Received: "
                    f"{sorted(store.keys())}."
                )
            parts = [np.asarray(store[name]) for name in names]
            variable.assign(np.concatenate(parts, axis=-1))


class StackedGates(ByTask, SoftmaxGate):
    """A `SoftmaxGate` for each task, in one product of each layer.

    Call arguments:
        inputs: `(B, D)` features.
        training: Boolean; experts drop out in training only.

    Returns:
        `(B, K, E)` float32 weights.
    """

    def build(self, input_shape):
        """Creates kernels `(D, K * units)` and biases `(K * units,)`."""
        self._kernels, self._biases = [], []
        number, width = len(self.task_names), input_shape[-1]
        for place, units in enumerate((*self.hidden, self.num_experts)):
            last = place == len(self.hidden)
            name = "" if last else f"hidden_{place}_"
            kernel = self.add_weight(
                name=f"{name}kernel",
                shape=(width, number * units),
                initializer=_side_by_side((number, width, units)),
            )
            bias = None
            if self.use_bias or not last:
                bias = self.add_weight(
                    name=f"{name}bias",
                    shape=(number * units,),
                    initializer="zeros",
                )
            self._kernels.append(kernel)
            self._biases.append(bias)
            width = units

    def call(self, inputs, training=None):
        """Returns the weights of the experts, for each task."""
        outputs = inputs
        layers = zip(
            (*self.hidden, self.num_experts),
            self._kernels,
            self._biases,
            strict=True,
        )
        for place, (units, kernel, bias) in enumerate(layers):
            alone = (-1, len(self.task_names), units)
            if place == 0:  # All tasks read the same.
                outputs = ops.reshape(ops.matmul(outputs, kernel), alone)
            else:
                kernel = ops.reshape(kernel, alone)
                hidden = ops.relu(outputs)
                outputs = ops.einsum("bkd,dku->bku", hidden, kernel)
            if bias is not None:
                outputs = ops.add(outputs, ops.reshape(bias, alone[1:]))
        return self.normalised(outputs, training)


class StackedSelectGates(ByTask, SelectGate):
    """A `SelectGate` for each task, in one product.

    Call arguments:
        inputs: `(B, D)` features.
        training: Boolean; the entropies count in training only.

    Returns:
        `(B, K, E)` float32 weights.
    """

    def bind(self, num_experts, task_names=()):
        """Sets the number of experts E and the K tasks, before it is built."""
        super().bind(num_experts, task_names)
        self.axes = (len(self.task_names),)


def _side_by_side(shape):
    """Returns an initializer of K kernels `(D, units)` as `(D, K * units)`."""
    start = keras.initializers.GlorotUniform()

    def initialize(full_shape, dtype=None):
        values = initial_heads(start, shape, dtype)
        return ops.reshape(ops.moveaxis(values, 0, 1), full_shape)

    return initialize


STACKED = {SoftmaxGate: StackedGates, SelectGate: StackedSelectGates}
