"""Multi-gate mixture of experts."""

from collections.abc import Iterable

import keras
from keras import ops

from keras_mtl.architectures.arguments import (
    checked_layer,
    gate_features,
    layer_or_none,
)
from keras_mtl.architectures.cloning import clones
from keras_mtl.architectures.experts import Experts
from keras_mtl.architectures.gates import gate_config
from keras_mtl.architectures.restoring import restored
from keras_mtl.architectures.stacked_gates import stacked_gate
from keras_mtl.architectures.task_encoder import TaskEncoder


@keras.saving.register_keras_serializable(package="keras_mtl")
class MMoE(TaskEncoder):
    """Experts that all tasks share, mixed by a gate of each task.

    The representation of task k is `r_k = Σ_e g_k(x)_e f_e(x)`, with the
    experts `f_e` and the gate `g_k`. Gradients at the representation are those
    with respect to the experts' outputs.

    Example:

    >>> encoder = MMoE(expert=keras.layers.Dense(16, "relu"), num_experts=8)
    >>> model = MultiTaskModel(encoder, {"income": head, "marital": other})

    Args:
        task_names: Iterable of strings; by default those of the heads.
        expert: Layer or model, not built. Every expert is a copy of it that
            starts with other values.
        num_experts: Integer, at least 1.
        gate: `"softmax"`, `"dselect_k"`, or a `SoftmaxGate` or `SelectGate`
            with its arguments; each task has a copy.
        bottom: Layer or model below the experts and the gates, or `None`.

    Call arguments:
        inputs: Inputs for all tasks, or a dict of them by task name.

    Returns:
        Dict from task name to `(B, ..., U)` representation. With
        `keras_mtl.layers.StackedHeads`, `(B, K, U)` in one product.

    Raises:
        ValueError: If `expert` or `gate` is not usable.

    Reference:
        - [Ma et al., 2018](https://dl.acm.org/doi/10.1145/3219819.3220007)
    """

    def __init__(
        self,
        task_names: Iterable[str] | None = None,
        expert: keras.layers.Layer | None = None,
        num_experts: int = 8,
        gate: str | dict | keras.layers.Layer = "softmax",
        bottom: keras.layers.Layer | None = None,
        **kwargs,
    ):
        super().__init__(task_names, **kwargs)
        expert = checked_layer("expert", expert)
        self.experts = Experts(expert, num_experts, name="experts")
        self.bottom = layer_or_none("bottom", bottom)
        self._gate = gate_config(gate, self.dtype_policy)
        self.gates = None
        self.bind(self.task_names)

    def task_layers(self, task_names):
        """Returns a gate for each task."""
        gates = clones(self._gate, [f"gate_{task}" for task in task_names])
        for gate in gates:
            gate.bind(self.experts.num_experts)
        return {gate.name: gate for gate in gates}

    def stack(self):
        """Puts gates of this package into one for all tasks."""
        super().stack()
        if self.built or self.gates is not None:
            return
        gates = stacked_gate(self._gate, "gates")
        if gates is None:
            return
        self.drop_task_layers()
        self.gates = gates
        self.gates.bind(self.experts.num_experts, self.task_names)

    @property
    def stacked_layers(self) -> list:
        """Layers whose variables have columns for each task."""
        return [] if self.gates is None else [self.gates]

    def shared(self, inputs, training=None):
        """Returns the bank, and what the gates read where that is learned."""
        if self.bottom is None:
            return self.experts(inputs, training=training)
        hidden = self.bottom(inputs, training=training)
        bank = self.experts(hidden, training=training)
        return {"experts": bank, "features": gate_features(hidden)}

    def own(self, task, cut, inputs, training=None):
        """Returns a task's mixture."""
        bank, features = self._read(cut, inputs)
        return mixture(self._weigh(task, features, training), bank)

    def own_all(self, cut, inputs, training=None):
        """Returns all mixtures, `(B, K, ..., U)`, in one product."""
        bank, features = self._read(cut, inputs)
        if self.gates is not None:
            return mixture(self.gates(features, training=training), bank)
        weights = [
            self._weigh(task, features, training) for task in self.task_names
        ]
        return mixture(ops.stack(weights, axis=1), bank)

    def gate_weights(self, inputs) -> dict:
        """Returns how much each expert counts for each task.

        Args:
            inputs: Inputs for all tasks, or a dict of them by task name.

        Returns:
            Dict from task name to `(B, E)` float32.
        """
        parts, found = self.by_task(inputs), {}
        for task, part in parts.items():
            features = part if self.bottom is None else self.bottom(part)
            found[task] = self._weigh(task, gate_features(features))
        return found

    def _weigh(self, task, features, training=None):
        """Returns a task's `(B, E)` weights of the experts."""
        if self.gates is None:
            gate = getattr(self, f"gate_{task}")
            return gate(features, training=training)
        number = self.task_names.index(task)
        return self.gates(features, training=training)[:, number]

    def _read(self, cut, inputs):
        if self.bottom is None:
            return cut, gate_features(inputs)
        return cut["experts"], cut["features"]

    def get_config(self):
        """Returns expert, gate and bottom, serialized."""
        bank = self.experts.get_config()
        return {
            **super().get_config(),
            "task_names": self.task_names and list(self.task_names),
            "expert": bank["expert"],
            "num_experts": bank["num_experts"],
            "gate": self._gate,
            "bottom": keras.saving.serialize_keras_object(self.bottom),
        }

    @classmethod
    def from_config(cls, config):
        """Returns the encoder of `get_config()`."""
        return restored(cls, config, ("expert", "gate", "bottom"))


def mixture(weights, bank):
    """Returns experts' outputs, mixed.

    Args:
        weights: `(B, E)`, or `(B, K, E)` for K mixtures.
        bank: `(B, E, ..., U)`.

    Returns:
        `(B, ..., U)`, or `(B, K, ..., U)`.
    """
    tasks = "k" if len(weights.shape) == 3 else ""
    weights = ops.cast(weights, bank.dtype)
    # By an ellipsis, the gradient would take ten times as long.
    rest = "uvwxyz"[: len(bank.shape) - 2]
    return ops.einsum(f"b{tasks}e,be{rest}->b{tasks}{rest}", weights, bank)
