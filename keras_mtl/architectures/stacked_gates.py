"""Softmax gates of all tasks in one product."""

import keras
import numpy as np
from keras import ops

from keras_mtl import compat
from keras_mtl.architectures.softmax_gate import SoftmaxGate
from keras_mtl.layers.initial_heads import initial_heads


class StackedGates(SoftmaxGate):
    """A `SoftmaxGate` for each task, all in one kernel.

    Each task's columns start and train as a gate of its own, and are saved by
    the task's name.

    Call arguments:
        inputs: `(B, D)` features.
        training: Boolean; experts drop out in training only.

    Returns:
        `(B, K, E)` float32 weights.
    """

    def bind(self, num_experts, task_names):
        """Sets the number of experts E and the K tasks, before it is built."""
        super().bind(num_experts)
        self.task_names = tuple(task_names)

    def build(self, input_shape):
        """Creates the kernel `(D, K * E)` and the bias `(K * E,)`."""
        width, number = input_shape[-1], len(self.task_names)
        every = number * self.num_experts
        start = keras.initializers.GlorotUniform()

        def initialize(shape, dtype=None):
            alone = (number, width, self.num_experts)
            values = initial_heads(start, alone, dtype)
            return ops.reshape(ops.moveaxis(values, 0, 1), shape)

        self.kernel = self.add_weight(
            name="kernel", shape=(width, every), initializer=initialize
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(every,), initializer="zeros"
            )

    def call(self, inputs, training=None):
        """Returns the weights of the experts, for each task."""
        logits = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            logits = ops.add(logits, self.bias)
        shape = (-1, len(self.task_names), self.num_experts)
        return self.normalised(ops.reshape(logits, shape), training)

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
