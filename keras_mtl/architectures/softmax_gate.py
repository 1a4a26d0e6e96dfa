"""The gate of MMoE: a softmax of the features."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl.architectures.arguments import as_list
from keras_mtl.checks import above, between, integer


@keras.saving.register_keras_serializable(package="keras_mtl")
class SoftmaxGate(keras.layers.Layer):
    """Weights of experts by a softmax of the features, at least in float32.

    Example:

    >>> encoder = MMoE(
    ...     ["income", "marital"],
    ...     keras.layers.Dense(8),
    ...     num_experts=3,
    ...     gate=SoftmaxGate(hidden=[16], dropout=0.1),
    ... )
    >>> encoder(keras.ops.ones((3, 5)))["income"].shape
    (3, 8)

    Args:
        hidden: List of integers, units of ReLU layers before the softmax.
        temperature: Float, above 0; divides the logits.
        dropout: Float in [0, 1), share of the experts that a row does without
            in training; the others' weights are scaled to sum to 1. It keeps
            a gate from settling on one expert early.
        use_bias: Boolean; biases start at 0.

    Call arguments:
        inputs: `(B, D)` features.
        training: Boolean; experts drop out in training only.

    Returns:
        `(B, E)` float32, positive or 0, rows summing to 1.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Ma et al., 2018](https://dl.acm.org/doi/10.1145/3219819.3220007)
        - [Zhao et al., 2019](https://dl.acm.org/doi/10.1145/3298689.3346997),
            dropout of experts
    """

    def __init__(
        self,
        hidden: Sequence[int] = (),
        temperature: float = 1.0,
        dropout: float = 0.0,
        use_bias: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        hidden = as_list("hidden", hidden, "integers, one for each layer")
        self.hidden = tuple(integer("hidden", units, 1) for units in hidden)
        self.temperature = above("temperature", temperature, 0.0)
        self.dropout = between("dropout", dropout, 0.0, 1.0)
        self.use_bias = bool(use_bias)
        self.num_experts: Any = None
        if self.dropout:
            self._draws = keras.random.SeedGenerator()

    def bind(self, num_experts):
        """Sets the number of experts E, before the gate is built."""
        self.num_experts = num_experts

    def build(self, input_shape):
        """Creates the kernel `(D, E)` and the bias."""
        self._layers_before = []
        for number, units in enumerate(self.hidden):
            layer = keras.layers.Dense(
                units, activation="relu", dtype=self.dtype_policy
            )
            layer.build(input_shape)
            setattr(self, f"hidden_{number}", layer)
            self._layers_before.append(layer)
            input_shape = (*input_shape[:-1], units)
        self.kernel = self.add_weight(
            name="kernel", shape=(input_shape[-1], self.num_experts)
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias", shape=(self.num_experts,), initializer="zeros"
            )

    def call(self, inputs, training=None):
        """Returns the weights of the experts."""
        for layer in self._layers_before:
            inputs = layer(inputs)
        logits = ops.matmul(inputs, self.kernel)
        if self.bias is not None:
            logits = ops.add(logits, self.bias)
        return self.normalised(logits, training)

    def normalised(self, logits, training=None):
        """Returns `(..., E)` weights of `(..., E)` logits."""
        logits = ops.cast(logits, precision(self))
        logits = ops.divide(logits, self.temperature)
        if self.dropout and training:
            kept = keras.random.uniform(
                ops.shape(logits), dtype="float32", seed=self._draws
            )
            # The one drawn highest stays, so that no row is without.
            best = ops.max(kept, axis=-1, keepdims=True)
            kept = ops.logical_or(kept >= self.dropout, kept >= best)
            logits = ops.where(kept, logits, -1e9)
        return softmax(logits)

    def get_config(self):
        """Returns the arguments to make this gate again."""
        return {
            **super().get_config(),
            "hidden": list(self.hidden),
            "temperature": self.temperature,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
        }


def precision(layer=None) -> str:
    """Returns the type of what is small and decides much, as gates' weights.

    Args:
        layer: Layer whose precision it goes by; `None` for the global one.
    """
    policy = keras.config.dtype_policy() if layer is None else layer
    return "float64" if policy.compute_dtype == "float64" else "float32"


def softmax(logits) -> Any:
    """Returns the softmax over the last axis."""
    # Keras warns of its own over a single entry.
    return ops.exp(logits - ops.logsumexp(logits, axis=-1, keepdims=True))
