"""Small changes of a shared layer for each task."""

from collections.abc import Iterable
from typing import Any

import keras
from keras import ops

from keras_mtl.architectures.arguments import checked_layer
from keras_mtl.architectures.restoring import restored
from keras_mtl.architectures.task_encoder import TaskEncoder
from keras_mtl.checks import above, integer


@keras.saving.register_keras_serializable(package="keras_mtl")
class TaskFiLM(TaskEncoder):
    """Features that each task scales and shifts: `h ⊙ (1 + γ_k) + β_k`.

    γ and β start at 0, so that every task starts with the features as they
    are.

    Example:

    >>> encoder = TaskFiLM(layer=keras.layers.Dense(16, "relu"))

    Args:
        task_names: Iterable of strings; by default those of the heads.
        layer: Layer or model that all tasks share, inputs -> features.

    Call arguments:
        inputs: Inputs for all tasks, or a dict of them by task name.

    Returns:
        Dict from task name to representation, of the features' shape.

    Raises:
        ValueError: If `layer` is no layer.

    Reference:
        - [Perez et al., 2018](https://arxiv.org/abs/1709.07871)
    """

    def __init__(
        self,
        task_names: Iterable[str] | None = None,
        layer: keras.layers.Layer | None = None,
        **kwargs,
    ):
        super().__init__(task_names, **kwargs)
        self.layer = checked_layer("layer", layer)
        self.bind(self.task_names)

    def task_layers(self, task_names):
        """Returns a scale and a shift for each task."""
        return {
            f"film_{task}": ScaleAndShift(dtype=self.dtype_policy)
            for task in task_names
        }

    def shared(self, inputs, training=None):
        """Returns the features."""
        return self.layer(inputs, training=training)

    def own(self, task, cut, inputs):
        """Returns a task's features."""
        return getattr(self, f"film_{task}")(cut)

    def get_config(self):
        """Returns the layer, serialized."""
        return _config(self, super().get_config())

    @classmethod
    def from_config(cls, config):
        """Returns the encoder of `get_config()`."""
        return _from_config(cls, config)


@keras.saving.register_keras_serializable(package="keras_mtl")
class TaskLoRA(TaskEncoder):
    """A shared product of features, with a change of low rank for each task.

    `h W + b + (α / r) h A_k B_k`. `B` starts at 0, so that every task starts
    with the shared product. Freeze `encoder.dense` to train the changes alone.

    Example:

    >>> encoder = TaskLoRA(layer=backbone, units=64, rank=4)

    Args:
        task_names: Iterable of strings; by default those of the heads.
        layer: Layer or model that all tasks share, inputs -> features
            `(B, ..., D)`.
        units: Integer, entries of the representation.
        rank: Integer, the paper's r.
        scale: Float above 0, the paper's α.
        activation: Keras activation or its name, after the change.

    Call arguments:
        inputs: Inputs for all tasks, or a dict of them by task name.

    Returns:
        Dict from task name to `(B, ..., units)` representation.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Hu et al., 2022](https://arxiv.org/abs/2106.09685)
    """

    def __init__(
        self,
        task_names: Iterable[str] | None = None,
        layer: keras.layers.Layer | None = None,
        units: int | None = None,
        rank: int = 4,
        scale: float = 1.0,
        activation: Any = None,
        **kwargs,
    ):
        super().__init__(task_names, **kwargs)
        self.layer = checked_layer("layer", layer)
        if units is None:
            raise ValueError(
                "Argument `units` must be an integer, the entries of the "
                "representation. Received: units=None"
            )
        self.units = integer("units", units, 1)
        self.rank = integer("rank", rank, 1)
        self.scale = above("scale", scale, 0.0)
        self.activation = keras.activations.get(activation)
        self.dense = keras.layers.Dense(
            self.units, dtype=self.dtype_policy, name="dense"
        )
        self.bind(self.task_names)

    def task_layers(self, task_names):
        """Returns a change of low rank for each task."""
        sizes = (self.units, self.rank, self.scale)
        return {
            f"lora_{task}": LowRank(*sizes, dtype=self.dtype_policy)
            for task in task_names
        }

    def shared(self, inputs, training=None):
        """Returns the features, and their shared product."""
        features = self.layer(inputs, training=training)
        return {"features": features, "product": self.dense(features)}

    def own(self, task, cut, inputs):
        """Returns a task's representation."""
        change = getattr(self, f"lora_{task}")(cut["features"])
        return self.activation(cut["product"] + change)

    def get_config(self):
        """Returns the layer, serialized, and the sizes."""
        return {
            **_config(self, super().get_config()),
            "units": self.units,
            "rank": self.rank,
            "scale": self.scale,
            "activation": keras.activations.serialize(self.activation),
        }

    @classmethod
    def from_config(cls, config):
        """Returns the encoder of `get_config()`."""
        return _from_config(cls, config)


@keras.saving.register_keras_serializable(package="keras_mtl")
class ScaleAndShift(keras.layers.Layer):
    """`h ⊙ (1 + γ) + β` over the last axis; γ and β start at 0."""

    def build(self, input_shape):
        """Creates γ and β."""
        shape = input_shape[-1:]
        self.gamma = self.add_weight(
            name="gamma", shape=shape, initializer="zeros"
        )
        self.beta = self.add_weight(
            name="beta", shape=shape, initializer="zeros"
        )

    def call(self, inputs):
        """Returns the features, changed."""
        return inputs * (1.0 + self.gamma) + self.beta


@keras.saving.register_keras_serializable(package="keras_mtl")
class LowRank(keras.layers.Layer):
    """`(α / r) h A B`, with `A ~ N(0, 1/r)` and `B` starting at 0.

    Args:
        units: Integer.
        rank: Integer, r.
        scale: Float, α.
    """

    def __init__(self, units, rank, scale, **kwargs):
        super().__init__(**kwargs)
        self.units, self.rank, self.scale = units, rank, scale

    def build(self, input_shape):
        """Creates A and B."""
        start = keras.initializers.RandomNormal(stddev=self.rank**-0.5)
        self.a = self.add_weight(
            name="a", shape=(input_shape[-1], self.rank), initializer=start
        )
        self.b = self.add_weight(
            name="b", shape=(self.rank, self.units), initializer="zeros"
        )

    def call(self, inputs):
        """Returns the change."""
        low = ops.matmul(inputs, self.a)
        return ops.matmul(low, self.b) * (self.scale / self.rank)

    def get_config(self):
        """Returns the arguments to make this layer again."""
        own = {"units": self.units, "rank": self.rank, "scale": self.scale}
        return {**super().get_config(), **own}


def _config(encoder, config):
    return {
        **config,
        "task_names": encoder.task_names and list(encoder.task_names),
        "layer": keras.saving.serialize_keras_object(encoder.layer),
    }


def _from_config(cls, config):
    return restored(cls, config, ("layer",))
