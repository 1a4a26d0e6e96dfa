"""Experts that all tasks share, and a gate and a head for each task."""

import keras
from keras import layers, ops

from keras_mtl.benchmarks.workloads.workload import (
    Workload,
    binary_labels,
    fingerprints,
)
from keras_mtl.model import MultiTaskModel


@keras.saving.register_keras_serializable(package="keras_mtl")
class ExpertBank(layers.Layer):
    """Dense experts, each of whose layers is one product for all.

    Args:
        num_experts: Integer, E.
        units: List of integers, of each layer of an expert.
    """

    def __init__(self, num_experts, units, **kwargs):
        super().__init__(**kwargs)
        self.num_experts, self.units = num_experts, list(units)

    def build(self, input_shape):
        """Creates a kernel `(E, I, U)` and a bias `(E, U)` for each layer."""
        widths = [input_shape[-1], *self.units]
        self.kernels, self.biases = [], []
        for number, (fan_in, units) in enumerate(
            zip(widths, self.units, strict=False)
        ):
            limit = (6.0 / (fan_in + units)) ** 0.5
            self.kernels.append(
                self.add_weight(
                    shape=(self.num_experts, fan_in, units),
                    initializer=keras.initializers.RandomUniform(-limit, limit),
                    name=f"kernel_{number}",
                )
            )
            self.biases.append(
                self.add_weight(
                    shape=(self.num_experts, units),
                    initializer="zeros",
                    name=f"bias_{number}",
                )
            )

    def call(self, inputs):
        """Returns `(B, E, U)`."""
        rows = inputs
        for kernel, bias in zip(self.kernels, self.biases, strict=True):
            equation = "bi,eiu->beu" if rows is inputs else "bei,eiu->beu"
            rows = ops.relu(ops.einsum(equation, rows, kernel) + bias)
        return rows

    def compute_output_shape(self, input_shape):
        """Returns the shape of the output."""
        return (input_shape[0], self.num_experts, self.units[-1])

    def get_config(self):
        """Returns the arguments to make this layer again."""
        own = {"num_experts": self.num_experts, "units": self.units}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable(package="keras_mtl")
class GatedHead(layers.Layer):
    """Mixes the experts' outputs by a gate that reads the inputs."""

    def build(self, shapes):
        """Creates the gate and the last layer."""
        _, num_experts, units = shapes["bank"]
        self.gate = layers.Dense(num_experts, "softmax")
        self.gate.build(shapes["x"])
        self.last = layers.Dense(1, "sigmoid")
        self.last.build((None, units))

    def call(self, parts):
        """Returns `(B, 1)`."""
        gates = self.gate(ops.stop_gradient(parts["x"]))
        return self.last(ops.einsum("be,beu->bu", gates, parts["bank"]))

    def compute_output_shape(self, shapes):
        """Returns the shape of the output."""
        return (shapes["x"][0], 1)


def experts(
    num_tasks=8,
    batch_size=256,
    jit_compile="auto",
    widths=(512, 256, 128),
    num_experts=4,
):
    """Returns a workload of shared experts, gates and heads, one by one.

    Args:
        num_tasks: Integer, K.
        batch_size: Integer, rows.
        jit_compile: Boolean or `"auto"`.
        widths: Tuple of integers: inputs, then units of an expert's layers.
        num_experts: Integer, E.
    """
    num_inputs, *units = widths
    x = keras.Input((num_inputs,), name="x")
    bank = ExpertBank(num_experts, units, name="bank")(x)
    encoder = keras.Model(x, {"bank": bank, "x": x})
    tasks = [f"task_{index}" for index in range(num_tasks)]
    heads = {task: GatedHead(name=task) for task in tasks}
    model = MultiTaskModel(encoder, heads)
    model.compile(
        keras.optimizers.Adam(3e-4),
        loss="binary_crossentropy",
        jit_compile=jit_compile,
    )
    return Workload(
        "experts",
        model,
        fingerprints(batch_size, num_inputs),
        binary_labels(tasks, batch_size),
    )
