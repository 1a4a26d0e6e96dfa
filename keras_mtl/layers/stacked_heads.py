"""Heads of many like tasks in one product."""

import json

import keras
import numpy as np
from keras import initializers, ops

from keras_mtl.checks import integer, task_name

# Their entries do not depend on the shape.
_ELEMENTWISE = (
    *(initializers.Zeros, initializers.Ones, initializers.RandomNormal),
    *(initializers.RandomUniform, initializers.TruncatedNormal),
)


@keras.saving.register_keras_serializable(package="keras_mtl")
class StackedHeads(keras.layers.Layer):
    """A `Dense` head for each of many like tasks, computed in one product.

    Each task's head starts, trains and is regularised as a `Dense` layer of its
    own, but the time to the first step does not grow with the number of tasks.
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
        inputs: `(B, D)`, the representation.

    Returns:
        `(B, K)`, or `(B, K, units)` with more than one unit.

    Raises:
        ValueError: If a name is not usable or occurs twice, or the inputs are
            not of rank 2.
    """

    def __init__(
        self,
        task_names,
        units=1,
        activation=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        kernel_regularizer=None,
        bias_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.task_names = _checked_names(task_names)
        self.units = integer("units", units, 1)
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)

    def build(self, input_shape):
        """Creates kernel `(D, K * units)` and bias `(K * units,)`."""
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(
                "StackedHeads needs a representation of shape (B, D) with D "
                f"known. Received: inputs of shape {tuple(input_shape)}. End "
                "the encoder with a Flatten, pooling or Dense layer."
            )
        width = len(self.task_names) * self.units
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], width),
            initializer=self._stacked(
                self.kernel_initializer, (input_shape[-1], self.units)
            ),
            regularizer=self.kernel_regularizer,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(width,),
                initializer=self._stacked(self.bias_initializer, (self.units,)),
                regularizer=self.bias_regularizer,
            )
        self.built = True

    def call(self, inputs):
        """Returns the predictions of all tasks."""
        outputs = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        num_tasks = len(self.task_names)
        if self.units == 1:
            outputs = self.activation(outputs[..., None])
            return ops.reshape(outputs, (-1, num_tasks))
        return self.activation(
            ops.reshape(outputs, (-1, num_tasks, self.units))
        )

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
            values = _heads(initializer, (num_tasks, *shape), dtype)
            return ops.reshape(ops.moveaxis(values, 0, -2), full_shape)

        return initialize


def _heads(initializer, shape, dtype):
    """Returns initial values `(K, ..., units)`, each head's as if alone."""
    if isinstance(initializer, _ELEMENTWISE):
        return initializer(shape, dtype=dtype)
    if _scales_with_shape(initializer) and len(shape) == 3:
        # Keras takes the first axis for that of a convolution, and counts K
        # times as many inputs and outputs.
        scaled = initializers.VarianceScaling(
            scale=initializer.scale * shape[0],
            mode=initializer.mode,
            distribution=initializer.distribution,
            seed=initializer.seed,
        )
        return scaled(shape, dtype=dtype)
    clones = [initializer.clone() for _ in range(shape[0])]
    return ops.stack([clone(shape[1:], dtype=dtype) for clone in clones])


def _scales_with_shape(initializer):
    scales = isinstance(initializer, initializers.VarianceScaling)
    return scales and getattr(initializer, "input_axes", None) is None


def _checked_names(task_names):
    if isinstance(task_names, str) or not task_names:
        raise ValueError(
            "Argument `task_names` must be a list with at least one string. "
            f"Received: task_names={task_names!r}"
        )
    names = tuple(map(task_name, task_names))
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(
            "Argument `task_names` must not name a task twice. Received twice: "
            f"{twice}"
        )
    return names
