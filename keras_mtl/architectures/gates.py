"""Gates: how much each expert counts for a row."""

import math
from collections.abc import Sequence
from typing import Any, cast

import keras
from keras import ops

from keras_mtl.architectures.arguments import as_list
from keras_mtl.checks import above, at_least, between, integer


@keras.saving.register_keras_serializable(package="keras_mtl")
class SoftmaxGate(keras.layers.Layer):
    """Weights of experts by a softmax of the features, in float32.

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
        self.num_experts = None
        self._layers_before = []
        for number, units in enumerate(self.hidden):
            layer = keras.layers.Dense(
                units, activation="relu", dtype=self.dtype_policy
            )
            setattr(self, f"hidden_{number}", layer)
            self._layers_before.append(layer)
        if self.dropout:
            self._draws = keras.random.SeedGenerator()

    def bind(self, num_experts):
        """Sets the number of experts E, before the gate is built."""
        self.num_experts = num_experts

    def build(self, input_shape):
        """Creates the kernel `(D, E)` and the bias."""
        for layer in self._layers_before:
            layer.build(input_shape)
            input_shape = (*input_shape[:-1], layer.units)
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
        logits = ops.divide(ops.cast(logits, "float32"), self.temperature)
        if self.dropout and training:
            kept = keras.random.uniform(
                ops.shape(logits), dtype="float32", seed=self._draws
            )
            # The one drawn highest stays, so that no row is without.
            best = ops.max(kept, axis=-1, keepdims=True)
            kept = ops.logical_or(kept >= self.dropout, kept >= best)
            logits = ops.where(kept, logits, -1e9)
        return _softmax(logits)

    def get_config(self):
        """Returns the arguments to make this gate again."""
        return {
            **super().get_config(),
            "hidden": list(self.hidden),
            "temperature": self.temperature,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
        }


@keras.saving.register_keras_serializable(package="keras_mtl")
class SelectGate(keras.layers.Layer):
    """DSelect-k: weights of at most k experts, differentiable all the way.

    Each of k selectors picks an expert by its binary code, bit by bit: `z` is
    a logit for each bit, and a smooth step of it the probability of a 1. A
    selector whose bits have all saturated stays with its expert: the step is
    flat there, by design.

    Example:

    >>> encoder = MMoE(
    ...     ["income", "marital"],
    ...     keras.layers.Dense(8),
    ...     num_experts=4,
    ...     gate=SelectGate(num_selected=2),
    ... )
    >>> encoder(keras.ops.ones((3, 5)))["income"].shape
    (3, 8)

    Args:
        num_selected: Integer, the paper's k: experts of a task at most.
        gamma: Float, above 0; width of the smooth step.
        per_example: Boolean. Whether the features decide, row by row; or the
            same experts serve every row.
        entropy: Float, at least 0. Weight of the selectors' entropies, which
            pulls them to a choice; a sum over the rows, added to the model's
            own losses, which no weighter scales.

    Call arguments:
        inputs: `(B, D)` features.
        training: Boolean; the entropies count in training only.

    Returns:
        `(B, E)` float32, rows summing to 1.

    Raises:
        ValueError: If an argument is out of range, or the number of experts
            is no power of 2: codes of no expert would take weight.

    Reference:
        - [Hazimeh et al., 2021](https://arxiv.org/abs/2106.03760)
    """

    def __init__(
        self,
        num_selected: int = 2,
        gamma: float = 1.0,
        per_example: bool = True,
        entropy: float = 0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_selected = integer("num_selected", num_selected, 1)
        self.gamma = above("gamma", gamma, 0.0)
        self.per_example = bool(per_example)
        self.entropy = at_least("entropy", entropy, 0.0)
        self.num_experts = None

    def bind(self, num_experts):
        """Sets the number of experts E, before the gate is built."""
        bits = max(num_experts - 1, 0).bit_length()
        if num_experts < 2 or 2**bits != num_experts:
            near = sorted({max(2, 2 ** (bits - 1)), 2 ** max(bits, 1)})
            raise ValueError(
                "SelectGate codes experts by bits: their number must be a "
                f"power of 2. Received: {num_experts} experts. Take "
                f"{' or '.join(map(str, near))}."
            )
        self.num_experts, self.num_bits = num_experts, bits

    def build(self, input_shape):
        """Creates the logits of the bits and of the selectors."""
        counts = {"z": self.num_selected * self.num_bits}
        counts["w"] = self.num_selected
        starts = {"z": self.gamma / 100.0, "w": 0.05}
        for name, count in counts.items():
            start = keras.initializers.RandomUniform(
                -starts[name], starts[name]
            )
            if self.per_example:
                setattr(
                    self,
                    f"{name}_kernel",
                    self.add_weight(
                        name=f"{name}_kernel",
                        shape=(input_shape[-1], count),
                        initializer=start.clone(),
                    ),
                )
            bias = self.add_weight(
                name=f"{name}_bias", shape=(count,), initializer=start.clone()
            )
            setattr(self, f"{name}_bias", bias)

    def call(self, inputs, training=None):
        """Returns the weights of the experts."""
        selectors = self.selectors(inputs)
        w = _softmax(self._logits(inputs, "w"))
        if self.entropy and training:
            inner = selectors * ops.log(selectors + 1e-6)
            self.add_loss(-self.entropy * ops.sum(inner))
        weights = ops.sum(w[..., None] * selectors, axis=-2)
        if not self.per_example:
            rows = ops.shape(inputs)[0]
            weights = ops.broadcast_to(weights, (rows, self.num_experts))
        return weights

    def selectors(self, inputs) -> Any:
        """Returns how much each selector picks each expert.

        Returns:
            `(B, k, E)` float32, or `(1, k, E)` where all rows are alike; sums
            over the experts are 1.
        """
        shape = (-1, self.num_selected, 1, self.num_bits)
        bits = smooth_step(
            ops.reshape(self._logits(inputs, "z"), shape), self.gamma
        )
        codes = [
            [(number >> bit) & 1 for bit in reversed(range(self.num_bits))]
            for number in range(self.num_experts)
        ]
        codes = ops.convert_to_tensor(codes, "float32")
        return ops.prod(codes * bits + (1.0 - codes) * (1.0 - bits), axis=-1)

    def _logits(self, inputs, name):
        logits = ops.cast(getattr(self, f"{name}_bias"), "float32")[None]
        if self.per_example:
            kernel = getattr(self, f"{name}_kernel")
            logits = logits + ops.cast(ops.matmul(inputs, kernel), "float32")
        return logits

    def get_config(self):
        """Returns the arguments to make this gate again."""
        return {
            **super().get_config(),
            "num_selected": self.num_selected,
            "gamma": self.gamma,
            "per_example": self.per_example,
            "entropy": self.entropy,
        }


def _softmax(logits):
    # Keras warns of its own over a single entry.
    return ops.exp(logits - ops.logsumexp(logits, axis=-1, keepdims=True))


def smooth_step(t, gamma):
    """Returns 0 below `-γ/2`, 1 above `γ/2`, and a cubic between.

    Reference:
        - [Hazimeh et al., 2021](https://arxiv.org/abs/2106.03760), Section 3
    """
    t = ops.clip(t, -gamma / 2.0, gamma / 2.0)
    return -2.0 / math.pow(gamma, 3) * t * t * t + 1.5 / gamma * t + 0.5


GATES = {"softmax": SoftmaxGate, "dselect_k": SelectGate}


def gate_config(gate, dtype=None) -> dict:
    """Returns the config dict of a gate.

    Args:
        gate: `"softmax"`, `"dselect_k"`, a config dict, or a gate: a layer
            with `bind(num_experts)` that returns `(B, E)` weights.
        dtype: Precision policy of a gate that is given by its name.

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(gate, str) and gate in GATES:
        gate = GATES[gate](dtype=dtype)
    if isinstance(gate, dict):
        gate = keras.saving.deserialize_keras_object(gate)
    if not isinstance(gate, keras.layers.Layer) or not hasattr(gate, "bind"):
        raise ValueError(
            f"Argument `gate` must be one of {list(GATES)}, a gate of "
            f"keras_mtl.architectures, or its config. Received: gate={gate!r}"
        )
    return cast(dict, keras.saving.serialize_keras_object(gate))
