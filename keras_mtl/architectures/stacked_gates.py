"""Gates of all tasks in one product."""

from typing import Any

import keras
from keras import ops

from keras_mtl.architectures.by_task import ByTask
from keras_mtl.architectures.select_gate import SelectGate
from keras_mtl.architectures.softmax_gate import SoftmaxGate
from keras_mtl.layers.initial_heads import initial_heads


class StackedGates(ByTask, SoftmaxGate):
    """A `SoftmaxGate` for each task, in one product of each layer.

    Call arguments:
        inputs: `(B, D)` features, or `(B, K, D)`, those of each task.
        training: Boolean; experts drop out in training only.

    Returns:
        `(B, K, E)` float32 weights.
    """

    def bind(self, num_experts, task_names=()):
        """Sets the number of experts E and the K tasks, before it is built."""
        super().bind(num_experts)
        self.task_names = tuple(task_names)

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
            if len(outputs.shape) == 2:  # All tasks read the same.
                outputs = ops.reshape(ops.matmul(outputs, kernel), alone)
            else:
                outputs = ops.relu(outputs) if place else outputs
                outputs = _products(outputs, kernel, alone[1])
            if bias is not None:
                outputs = ops.add(outputs, ops.reshape(bias, alone[1:]))
        return self.normalised(outputs, training)


class StackedSelectGates(ByTask, SelectGate):
    """A `SelectGate` for each task, in one product.

    Call arguments:
        inputs: `(B, D)` features, or `(B, K, D)`, those of each task.
        training: Boolean; the entropies count in training only.

    Returns:
        `(B, K, E)` float32 weights.
    """

    def bind(self, num_experts, task_names=()):
        """Sets the number of experts E and the K tasks, before it is built."""
        super().bind(num_experts)
        self.task_names = tuple(task_names)
        self.axes = (len(self.task_names),)

    def product(self, inputs, kernel):
        """Returns the logits, `(B, n)` or `(B, K, n / K)`."""
        if len(inputs.shape) == 2:
            return super().product(inputs, kernel)
        return _products(inputs, kernel, len(self.task_names))


def _products(inputs, kernel, num_tasks):
    """Returns the products of each task's rows with its columns.

    Args:
        inputs: `(B, K, D)`.
        kernel: `(D, K * units)`.
        num_tasks: Integer, K.

    Returns:
        `(B, K, units)`.
    """
    by_task = ops.reshape(kernel, (inputs.shape[-1], num_tasks, -1))
    return ops.einsum("bkd,dku->bku", inputs, by_task)


def _side_by_side(shape):
    """Returns an initializer of K kernels `(D, units)` as `(D, K * units)`."""
    start = keras.initializers.GlorotUniform()

    def initialize(full_shape, dtype=None):
        values = initial_heads(start, shape, dtype)
        return ops.reshape(ops.moveaxis(values, 0, 1), full_shape)

    return initialize


STACKED = {SoftmaxGate: StackedGates, SelectGate: StackedSelectGates}


def stacked_gate(config, name) -> Any:
    """Returns one gate for all tasks, `None` for a kind that has none.

    Args:
        config: Dict of a serialized gate.
        name: String, that of the layer.
    """
    kind = STACKED.get(type(keras.saving.deserialize_keras_object(config)))
    if kind is None:
        return None
    return kind.from_config({**config["config"], "name": name})
