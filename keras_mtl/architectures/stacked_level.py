"""A level of experts whose tasks are one product each: experts and gates."""

from typing import Any

import keras
from keras import ops

from keras_mtl.architectures.arguments import gate_features
from keras_mtl.architectures.by_task import ByTask
from keras_mtl.architectures.cloning import clone
from keras_mtl.architectures.joined_level import mixture_of_parts, parted
from keras_mtl.architectures.levels import BETWEEN_BANKS, bank_of, expert_of
from keras_mtl.architectures.mmoe import mixture
from keras_mtl.architectures.softmax_gate import precision
from keras_mtl.architectures.stacked_gates import stacked_gate
from keras_mtl.architectures.task_experts import TaskExperts


class StackedLevel(keras.layers.Layer):
    """A level of `PLE` for K tasks with as many experts each.

    Args:
        level: `Level` of `Dense` experts.
        task_names: Tuple of K strings.
        gate: Config dict of a gate, of which each task has one.
        one_bank: Boolean. Whether all experts read the same, and are one bank.
        passes_on: Boolean. Whether a gate mixes all experts for the shared
            ones of the next level.
        residual: Boolean. Whether a task's gate mixes all experts, and its own
            are added.
        number: Integer, which level, for names.
    """

    def __init__(
        self,
        level,
        task_names,
        gate,
        one_bank,
        passes_on,
        residual,
        number=0,
        **kwargs,
    ):
        super().__init__(name=f"level_{number}", **kwargs)
        self.num_own = level.own_of(task_names[0])
        self.num_shared, self.residual = level.num_shared, residual
        self._width = len(task_names) * self.num_own
        config = keras.saving.serialize_keras_object(level.expert)
        self.experts = self.common = None
        self.own: Any = None
        if one_bank:
            self.experts = bank_of(config, 0, self._width + self.num_shared)
        elif self.num_own:
            expert = expert_of(config, 0)
            self.own = TaskExperts(expert, self.num_own, task_names)
        if self.num_shared and not one_bank:
            place = 1 + self._width // BETWEEN_BANKS  # Of seeds not taken yet.
            self.common = bank_of(config, place, self.num_shared)
        self.gates = stacked_gate(gate, f"gates_level_{number}")
        self.gates.bind(
            (self._width if residual else self.num_own) + self.num_shared,
            task_names,
        )
        self.shared_gate = None
        if passes_on:
            name = f"shared_gate_level_{number}"
            self.shared_gate = clone(gate, len(task_names), name)
            self.shared_gate.bind(self._width + self.num_shared)
        self.skip = None
        if residual and self.num_own:
            self.skip = Skips(self.num_own, self.num_shared, task_names)
        self.built = True

    @property
    def layers_by_task(self) -> list:
        """Layers whose variables have parts that serve one task each."""
        own = None if self.residual else self.own
        layers = (self.gates, own, self.skip)
        return [layer for layer in layers if layer is not None]

    def passed(self, streams, shared, training=None):
        """Returns the tasks' streams above, and the shared one or `None`."""
        common = None
        if self.shared_gate is not None:
            features = gate_features(shared)
            common = self.shared_gate(features, training=training)
        if self.experts is not None:
            rows = self.weighed(streams, training)
            if not self.residual:
                rows = self._widened(rows)
            if common is not None:
                rows = ops.concatenate([rows, common[:, None]], axis=1)
            bank = self.experts(streams, training=training)
            mixed = mixture(rows, bank)
            if common is None:
                return mixed, None
            mixed, above = parted(mixed, self._num_tasks, axis=1)
            return mixed, ops.squeeze(above, axis=1)
        banks = self.banks(streams, shared, training)
        above = None if common is None else mixture_of_parts(common, banks)
        if self.residual:
            return self.mixed_of_all(streams, banks, training), above
        own = banks[0] if self.num_own else None
        shared = banks[-1] if self.num_shared else None
        return self.mixed(streams, shared, training, own), above

    def banks(self, streams, shared, training=None) -> list:
        """Returns what experts make of the tasks' and the shared stream.

        `(B, K * m, U)`, one task's after the other's, and `(B, s, U)`, where
        there are such.
        """
        banks = []
        if self.own is not None:
            banks.append(self.own(streams, training=training))
        if self.common is not None:
            banks.append(self.common(shared, training=training))
        return banks

    def features(self, streams):
        """Returns what gates read: `(B, D)`, or `(B, K, D)`."""
        apart = len(streams.shape) == 3 and streams.shape[1] == self._num_tasks
        return streams if apart else gate_features(streams)

    def weighed(self, streams, training=None) -> Any:
        """Returns the weights `(B, K, E)` of the experts that tasks read."""
        weights = self.gates(self.features(streams), training=training)
        return weights if self.skip is None else self.skip(weights)

    def mixed_of_all(self, streams, banks, training=None) -> Any:
        """Returns the tasks' mixtures of all experts, `(B, K, U)`."""
        return mixture_of_parts(self.weighed(streams, training), banks)

    def mixed(self, streams, shared, training=None, own=None) -> Any:
        """Returns the tasks' mixtures of their own and the shared experts.

        Args:
            streams: `(B, D)` or `(B, K, D)`.
            shared: `(B, s, U)`, or `None`.
            training: Boolean.
            own: `(B, K * m, U)`; by default, what they make of the streams.

        Returns:
            `(B, K, U)`.
        """
        of_own, of_shared = self._parts(self.weighed(streams, training))
        total = None
        if self.num_shared:
            total = mixture(of_shared, shared)
        if self.num_own:
            if own is None:
                own = self.own(streams, training=training)
            own = ops.reshape(own, (*self._by_task, own.shape[-1]))
            mine: Any = ops.cast(of_own[..., None], own.dtype)
            mine = ops.sum(mine * own, axis=2)
            total = mine if total is None else ops.add(total, mine)
        return total

    def _widened(self, weights):
        """Returns weights of all experts, 0 for those of other tasks."""
        if not self.num_own:
            return weights
        own, shared = self._parts(weights)
        same = ops.eye(self._num_tasks, dtype=weights.dtype)
        own = ops.reshape(
            own[:, :, None] * same[..., None],
            (-1, self._num_tasks, self._width),
        )
        return ops.concatenate([own, shared], axis=-1)

    def _parts(self, weights):
        """Returns the weights of own and of shared experts."""
        return parted(weights, self.num_own, axis=-1)

    @property
    def _by_task(self):
        return -1, self._num_tasks, self.num_own

    @property
    def _num_tasks(self):
        return len(self.gates.task_names)


class Skips(ByTask):
    """AdaTT's residual: each task's own experts, added to what a gate mixes.

    A single expert is added as it is, with a weight of 1.

    Args:
        num_own: Integer, m: experts of each task.
        num_shared: Integer, s: experts after the tasks' own.
        task_names: Tuple of K strings.

    Call arguments:
        inputs: `(B, K, K * m + s)` weights of gates.

    Returns:
        The same shape.
    """

    def __init__(self, num_own, num_shared, task_names, **kwargs):
        super().__init__(**{"dtype": precision(), **kwargs})
        self.num_own, self.num_shared = num_own, num_shared
        self.task_names = tuple(task_names)

    def build(self, input_shape):
        """Creates a weight for each of a task's several experts."""
        self._free = None
        if self.num_own > 1:
            bound = self.num_own**-0.5
            self._free = self.add_weight(
                name="weights",
                shape=(len(self.task_names) * self.num_own,),
                initializer=keras.initializers.RandomUniform(-bound, bound),
            )

    def call(self, inputs):
        """Returns the weights of the experts."""
        number, own = len(self.task_names), self._free
        if own is None:
            own = ops.ones(number * self.num_own, inputs.dtype)
        mine = (
            ops.repeat(
                ops.eye(number, dtype=inputs.dtype), self.num_own, axis=1
            )
            * own
        )
        return inputs + ops.pad(mine, [[0, 0], [0, self.num_shared]])
