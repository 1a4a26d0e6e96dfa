"""The gate of DSelect-k: a few experts for a task."""

import math
from typing import Any

import keras
from keras import ops

from keras_mtl.architectures.softmax_gate import precision, softmax
from keras_mtl.checks import above, at_least, integer


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

    # Between rows and selectors, where gates are stacked: the tasks.
    axes = ()

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
        selectors = math.prod(self.axes) * self.num_selected
        counts = {"z": selectors * self.num_bits, "w": selectors}
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
        w = softmax(self._logits(inputs, "w", self.num_selected))
        if self.entropy and training:
            inner: Any = ops.sum(selectors * ops.log(selectors + 1e-6))
            self.add_loss(-self.entropy * inner)
        weights = ops.sum(w[..., None] * selectors, axis=-2)
        if not self.per_example:
            rows: Any = ops.shape(inputs)
            shape = (rows[0], *self.axes, self.num_experts)
            weights = ops.broadcast_to(weights, shape)
        return weights

    def selectors(self, inputs) -> Any:
        """Returns how much each selector picks each expert.

        Returns:
            `(B, k, E)` float32, or `(1, k, E)` where all rows are alike; sums
            over the experts are 1.
        """
        each = (self.num_selected, 1, self.num_bits)
        bits = smooth_step(self._logits(inputs, "z", *each), self.gamma)
        table = [
            [(number >> bit) & 1 for bit in reversed(range(self.num_bits))]
            for number in range(self.num_experts)
        ]
        codes: Any = ops.convert_to_tensor(table, precision(self))
        return ops.prod(codes * bits + (1.0 - codes) * (1.0 - bits), axis=-1)

    def product(self, inputs, kernel):
        """Returns the logits of the features."""
        return ops.matmul(inputs, kernel)

    def _logits(self, inputs, name, *shape):
        dtype = precision(self)
        bias: Any = ops.cast(getattr(self, f"{name}_bias"), dtype)
        logits = bias[None]
        if self.per_example:
            kernel = getattr(self, f"{name}_kernel")
            products = self.product(inputs, kernel)
            products = ops.reshape(products, (-1, bias.shape[-1]))
            logits = logits + ops.cast(products, dtype)
        return ops.reshape(logits, (-1, *self.axes, *shape))

    def get_config(self):
        """Returns the arguments to make this gate again."""
        return {
            **super().get_config(),
            "num_selected": self.num_selected,
            "gamma": self.gamma,
            "per_example": self.per_example,
            "entropy": self.entropy,
        }


def smooth_step(t, gamma) -> Any:
    """Returns 0 below `-γ/2`, 1 above `γ/2`, and a cubic between.

    Reference:
        - [Hazimeh et al., 2021](https://arxiv.org/abs/2106.03760), Section 3
    """
    near: Any = ops.clip(t, -gamma / 2.0, gamma / 2.0)
    cubic = -2.0 / math.pow(gamma, 3) * near * near * near
    return cubic + 1.5 / gamma * near + 0.5
