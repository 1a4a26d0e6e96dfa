"""The experts, gates and heads of `experts`, each in one product."""

import keras
import numpy as np
from keras import layers, ops

from keras_mtl.architectures import TaskEncoder
from keras_mtl.benchmarks.workloads.experts import ExpertBank
from keras_mtl.benchmarks.workloads.workload import Workload, fingerprints
from keras_mtl.layers import StackedHeads
from keras_mtl.model import MultiTaskModel


@keras.saving.register_keras_serializable(package="keras_mtl")
class StackedExperts(TaskEncoder):
    """Experts, mixed by gates of one kernel.

    Args:
        task_names: Iterable of K strings.
        num_experts: Integer, E.
        units: List of integers, of each layer of an expert.
    """

    def __init__(self, task_names, num_experts, units, **kwargs):
        super().__init__(task_names, **kwargs)
        self.bank = ExpertBank(num_experts, units, name="bank")
        self.gates = layers.Dense(num_experts * len(self.task_names))

    def shared(self, inputs):
        """Returns the experts' outputs, `(B, E, U)`."""
        return self.bank(inputs)

    def own_all(self, cut, inputs):
        """Returns all mixtures, `(B, K, U)`."""
        shape = (-1, len(self.task_names), self.bank.num_experts)
        gates = ops.reshape(self.gates(inputs), shape)
        return ops.einsum("bke,beu->bku", ops.softmax(gates), cut)

    def one_by_one(self, inputs) -> dict:
        """Returns each task's mixture by a gate of its own, in plain Keras."""
        cut, found = self.bank(inputs), {}
        for task in self.task_names:
            gate = layers.Dense(self.bank.num_experts, "softmax")(inputs)
            found[task] = ops.einsum("be,beu->bu", gate, cut)
        return found

    def get_config(self):
        """Returns the arguments to make this encoder again."""
        own = {
            "task_names": list(self.task_names),
            "num_experts": self.bank.num_experts,
            "units": self.bank.units,
        }
        return {**super().get_config(), **own}


def stacked_experts(
    num_tasks=8,
    batch_size=256,
    jit_compile="auto",
    widths=(512, 256, 128),
    num_experts=4,
):
    """Returns a workload of `experts`' sizes, whatever is alike in one product.

    Args:
        num_tasks: Integer, K.
        batch_size: Integer, rows.
        jit_compile: Boolean or `"auto"`.
        widths: Tuple of integers: inputs, then units of an expert's layers.
        num_experts: Integer, E.
    """
    num_inputs, *units = widths
    tasks = [f"task_{index}" for index in range(num_tasks)]
    model = MultiTaskModel(
        StackedExperts(tasks, num_experts, units),
        StackedHeads(tasks, activation="sigmoid"),
    )
    model.compile(
        keras.optimizers.Adam(3e-4),
        loss="binary_crossentropy",
        jit_compile=jit_compile,
    )
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, (batch_size, num_tasks)).astype("float32")
    return Workload(
        "stacked_experts", model, fingerprints(batch_size, num_inputs), y
    )
