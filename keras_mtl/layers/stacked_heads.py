"""Heads of many similar tasks in one product."""

import json
import reprlib
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import initializers, ops

from keras_mtl.checks import did_you_mean, distinct_names, integer
from keras_mtl.layers.initial_heads import initial_heads
from keras_mtl.layers.row_lookup import rows_of

# Parameters of all heads up to which their gradient is a product.
FEW = 2**16


@keras.saving.register_keras_serializable(package="keras_mtl")
class StackedHeads(keras.layers.Layer):
    """A `Dense` head for each of many similar tasks, as one product.

    Each task's head starts, trains and is regularised like a separate `Dense`
    layer, but the time to the first step does not grow with their number.
    Labels, sample weights and predictions are one array for all tasks.

    Example:

    >>> names = [f"assay_{k}" for k in range(128)]
    >>> heads = StackedHeads(names, activation="sigmoid")
    >>> model = MultiTaskModel(encoder, heads)
    >>> model.compile("adam", loss="binary_crossentropy")
    >>> model.fit(x, y, sample_weight=present)  # y, present: (rows, 128)

    Args:
        task_names: List of K strings, in the order of the labels.
        units: Integer, at least 1. Entries of one task's prediction.
        activation: Keras activation or its name, over the units of a task.
        use_bias: Boolean.
        kernel_initializer: Keras initializer or its name, as for the `Dense`
            layer of one task. One that knows more than the number of inputs
            and outputs, such as `Orthogonal`, is called once for each task.
        bias_initializer: The same for the biases.
        kernel_regularizer: Keras regularizer or its name, of the whole kernel;
            L1 and L2 are sums over the tasks.
        bias_regularizer: The same for the biases.

    Call arguments:
        inputs: `(B, D)`, the representation that all tasks share, or
            `(B, K, D)`, one for each task.
        task: `(B,)` integers, the task that each row belongs to, or `None`
            if all tasks read every row.

    Returns:
        `(B, K)`, or `(B, K, units)` with more than one unit. With `task`,
        the prediction of each row's task, `(B, units)`.

    Raises:
        ValueError: If a name is not usable or occurs twice, or the inputs are
            neither `(B, D)` nor `(B, K, D)`.
    """

    def __init__(
        self,
        task_names: Iterable[str],
        units: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.task_names = distinct_names(task_names)
        self.units = integer("units", units, 1)
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)

    def build(self, input_shape):
        """Creates the kernel and the bias `(K * units,)`.

        The kernel is `(D, K * units)`, or `(K, D, units)` where each task has
        a representation of its own.
        """
        num_tasks, width = len(self.task_names), input_shape[-1]
        self.apart = tuple(input_shape[1:-1]) == (num_tasks,)
        if width is None or not (self.apart or len(input_shape) == 2):
            raise ValueError(
                "StackedHeads needs a representation of shape (B, D), or "
                f"(B, {num_tasks}, D) with one for each task, and D known. "
                f"Received: inputs of shape {tuple(input_shape)}. End "
                "the encoder with a Flatten, pooling or Dense layer."
            )
        shape = (width, num_tasks * self.units)
        if self.apart:
            shape = (num_tasks, width, self.units)
        self.kernel = self.add_weight(
            name="kernel",
            shape=shape,
            initializer=self._stacked(
                self.kernel_initializer, (width, self.units)
            ),
            regularizer=self.kernel_regularizer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(num_tasks * self.units,),
                initializer=self._stacked(self.bias_initializer, (self.units,)),
                regularizer=self.bias_regularizer,
            )
        self.built = True

    def call(self, inputs, task=None):
        """Returns the predictions of all tasks, or each row's own."""
        if task is not None:
            return self._own(inputs, ops.cast(task, "int32"))
        num_tasks = len(self.task_names)
        if self.apart and self.units == 1:
            # Faster than a batched product with single columns.
            products = ops.multiply(inputs, self.kernel[..., 0])
            outputs = ops.sum(products, axis=-1)
        elif self.apart:
            by_task = ops.transpose(inputs, (1, 0, 2))
            outputs = ops.matmul(by_task, self.kernel)
            outputs = ops.transpose(outputs, (1, 0, 2))
            outputs = ops.reshape(outputs, (-1, num_tasks * self.units))
        else:
            outputs = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        if self.units == 1:
            column: Any = outputs
            outputs = self.activation(column[..., None])
            return ops.reshape(outputs, (-1, num_tasks))
        return self.activation(
            ops.reshape(outputs, (-1, num_tasks, self.units))
        )

    def task_ids(self, names: Any) -> np.ndarray:
        """Turns task names into the integers that `task` takes.

        Args:
            names: Array or list of task names.

        Returns:
            Int32 array of the same shape.

        Raises:
            ValueError: If a name is not a task's.
        """
        numbers = {name: k for k, name in enumerate(self.task_names)}
        given, places = np.unique(np.asarray(names), return_inverse=True)
        unknown = [str(n) for n in given.tolist() if str(n) not in numbers]
        if unknown:
            name = unknown[0]
            raise ValueError(
                f"Rows belong to the unknown task {name!r}. Expected: names "
                f"among {reprlib.repr(list(self.task_names))}."
                f"{did_you_mean(name, self.task_names)}"
            )
        ids = np.array([numbers[str(n)] for n in given.tolist()], "int32")
        return ids[places].reshape(np.shape(names))

    def _own(self, inputs, task):
        """Returns each row's prediction by its own task's head."""
        num_tasks, width = len(self.task_names), inputs.shape[-1]
        if self.apart:
            mine: Any = ops.take_along_axis(inputs, task[:, None, None], axis=1)
            inputs, kernel = mine[:, 0], self.kernel
        else:
            shape = (width, num_tasks, self.units)
            kernel = ops.transpose(ops.reshape(self.kernel, shape), (1, 0, 2))
        # Whole rows of memory are gathered; reshaped, gradients are dense.
        kernel = ops.reshape(kernel, (num_tasks, -1))
        few = not self.apart and num_tasks * self.units * width <= FEW
        if few:
            kernel = rows_of(kernel, task)
        else:
            kernel = ops.take(kernel, task, axis=0)
        own: Any = ops.reshape(kernel, (-1, width, self.units))
        if self.units == 1:
            products = ops.multiply(inputs, own[..., 0])
            outputs = ops.sum(products, axis=-1, keepdims=True)
        else:
            products: Any = ops.matmul(inputs[:, None, :], own)
            outputs = products[:, 0]
        if self.bias is not None:
            bias = ops.reshape(self.bias, (num_tasks, self.units))
            outputs = ops.add(outputs, ops.take(bias, task, axis=0))
        return self.activation(outputs)

    def get_config(self):
        """Returns the arguments to make this layer again."""
        return {
            **super().get_config(),
            "task_names": list(self.task_names),
            "units": self.units,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            **{
                f"{part}_initializer": initializers.serialize(initializer)
                for part, initializer in (
                    ("kernel", self.kernel_initializer),
                    ("bias", self.bias_initializer),
                )
            },
            **{
                f"{part}_regularizer": keras.regularizers.serialize(regularizer)
                for part, regularizer in (
                    ("kernel", self.kernel_regularizer),
                    ("bias", self.bias_regularizer),
                )
            },
        }

    def save_own_variables(self, store):
        """Saves the heads and the names of their tasks."""
        super().save_own_variables(store)
        names = json.dumps(self.task_names).encode()
        store["task_names"] = np.frombuffer(names, dtype="uint8")

    def load_own_variables(self, store):
        """Loads heads of the same tasks, in the same order."""
        values = {name: store[name] for name in sorted(store.keys())}
        saved = None
        # Keras looks in a second place, where nothing is, after an error.
        if "task_names" in values:
            saved = np.asarray(values.pop("task_names")).tobytes()
            saved = tuple(json.loads(saved))
        if saved != self.task_names:
            raise ValueError(
                "The saved weights are not those of StackedHeads of the tasks "
                f"{list(self.task_names)}, in this order. Load them into a "
                "model with the same task names in the same order."
                + (f" Received: {list(saved)}" if saved else "")
            )
        super().load_own_variables(values)

    def _stacked(self, initializer, shape):
        """Returns an initializer of as many heads of this `shape`."""
        num_tasks = len(self.task_names)

        def initialize(full_shape, dtype=None):
            values = initial_heads(initializer, (num_tasks, *shape), dtype)
            if len(full_shape) < 3:  # Tasks side by side.
                values = ops.moveaxis(values, 0, -2)
            return ops.reshape(values, full_shape)

        return initialize
