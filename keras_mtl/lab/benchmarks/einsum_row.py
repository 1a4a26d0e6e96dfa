"""Mixtures of experts in Keras alone, all tasks in one product."""

from dataclasses import dataclass

import keras
import numpy as np

from keras_mtl.lab.benchmarks.rows import endless


@dataclass(frozen=True)
class EinsumRow:
    """Makes a runner of what one writes by hand where tasks are alike.

    Experts, gates, mixtures and heads are one product each, with one loss.

    Args:
        num_experts: Integer, E.
        units: Tuple of integers, of each layer of an expert.
        x: `(B, D)` inputs.
        y: `(B, K)` labels of 0 and 1.
        jit_compile: Boolean.
    """

    num_experts: int
    units: tuple[int, ...]
    x: np.ndarray
    y: np.ndarray
    jit_compile: bool

    def __call__(self):
        """Returns a `KerasRunner`."""
        layers = keras.layers
        num_experts, num_tasks = self.num_experts, self.y.shape[1]
        inputs = keras.Input(self.x.shape[1:])
        first, *others = self.units
        bank = layers.Dense(num_experts * first, "relu")(inputs)
        bank = layers.Reshape((num_experts, first))(bank)
        for units in others:
            bank = layers.EinsumDense(
                "bei,eiu->beu", (num_experts, units), "relu", bias_axes="eu"
            )(bank)
        gates = layers.Dense(num_tasks * num_experts)(inputs)
        gates = layers.Reshape((num_tasks, num_experts))(gates)
        gates = layers.Softmax()(gates)
        mixed = keras.ops.einsum("bke,beu->bku", gates, bank)
        outputs = layers.EinsumDense(
            "bku,ku->bk", (num_tasks,), "sigmoid", bias_axes="k"
        )(mixed)
        model = keras.Model(inputs, outputs)
        model.compile(
            keras.optimizers.Adam(3e-4),
            "binary_crossentropy",
            jit_compile=self.jit_compile,
        )
        return endless(model, (self.x, self.y))
