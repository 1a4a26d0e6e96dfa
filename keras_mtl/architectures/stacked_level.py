"""A level of experts whose tasks are one product each: experts and gates."""

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_mtl.architectures.arguments import gate_features
from keras_mtl.architectures.by_task import ByTask
from keras_mtl.architectures.cloning import clone
from keras_mtl.architectures.experts import dense_layers
from keras_mtl.architectures.joined_level import mixture_of_parts
from keras_mtl.architectures.levels import BETWEEN_BANKS, bank_of, expert_of
from keras_mtl.architectures.mmoe import mixture
from keras_mtl.architectures.stacked_gates import stacked_gate
from keras_mtl.architectures.task_experts import TaskExperts


class Outputs(NamedTuple):
    """What a level's experts return.

    Args:
        own: `(B, K * m, U)`, m of each task, or `None`.
        shared: `(B, s, U)`, or `None`.
        every: List of the same, or of the one bank that they are parts of.
    """

    own: Any
    shared: Any
    every: Any


class StackedLevels(keras.layers.Layer):
    """All levels of `PLE`, of tasks with as many `Dense` experts each.

    Args:
        levels: List of `Level`.
        task_names: Tuple of K strings.
        gate: Config dict of a gate, of which each task has one.
        joins: Boolean. Whether the first level's experts are one bank.
        residual: Boolean, as of `PLE`.
    """

    def __init__(self, levels, task_names, gate, joins, residual, **kwargs):
        super().__init__(**kwargs)
        self._levels = []
        for number, level in enumerate(levels):
            later = levels[number + 1 :]
            passes_on = bool(later and later[0].num_shared)
            made = StackedLevel(
                level,
                task_names,
                gate,
                joins and not number,
                passes_on,
                residual,
                number,
            )
            setattr(self, f"level_{number}", made)
            self._levels.append(made)
        self.built = True

    @property
    def layers_by_task(self) -> list:
        """Layers above the cut whose variables have a part for each task."""
        return self._levels[-1].layers_by_task

    def shared(self, hidden, learned, training=None) -> dict:
        """Returns the cut: the last level's streams, and what all tasks read.

        Args:
            hidden: `(B, D)`.
            learned: Boolean. Whether a trainable layer lies below it.
            training: Boolean.
        """
        *levels, last = self._levels
        streams, common = hidden, hidden
        for level in levels:
            streams, common = level.passed(streams, common, training)
        cut = {}
        if last.residual:
            cut["experts"] = last.outputs(streams, common, training).every
        elif last.common is not None:
            cut["shared"] = last.common(common, training=training)
        if learned or levels or not cut:
            cut["streams"] = streams
        return cut

    def own_all(self, cut, inputs, training=None):
        """Returns all mixtures of the last level, `(B, K, U)`."""
        last = self._levels[-1]
        streams = cut.get("streams", inputs)
        if last.residual:
            outputs = Outputs(None, None, cut["experts"])
        else:
            own = last.own_outputs(streams, training)
            outputs = Outputs(own, cut.get("shared"), [])
        return last.mixed(outputs, streams, training)

    def gate_weights(self, cut, inputs):
        """Returns how much experts count in the last level, `(B, K, E)`."""
        last, streams = self._levels[-1], cut.get("streams", inputs)
        return last.gates(last.features(streams))


def are_alike(levels, task_names, gate) -> bool:
    """Whether products can stack the levels of all tasks.

    Args:
        levels: List of `Level`.
        task_names: Tuple of strings.
        gate: Config dict of a gate.
    """
    return stacked_gate(gate, "gates") is not None and all(
        dense_layers(level.expert)
        and len(set(level.own_counts(task_names).values())) == 1
        for level in levels
    )


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
        self.experts = self.own = self.common = None
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
        outputs = self.outputs(streams, shared, training)
        mixed = self.mixed(outputs, streams, training)
        if self.shared_gate is None:
            return mixed, None
        weights = self.shared_gate(gate_features(shared), training=training)
        return mixed, mixture_of_parts(weights, outputs.every)

    def outputs(self, streams, shared, training=None) -> Outputs:
        """Returns what the experts make of the tasks' and the shared stream."""
        if self.experts is not None:
            every: Any = self.experts(streams, training=training)
            own, common = every[:, : self._width], every[:, self._width :]
            return Outputs(own, common, [every])
        own, common = self.own_outputs(streams, training), None
        if self.common is not None:
            common = self.common(shared, training=training)
        parts = [part for part in (own, common) if part is not None]
        return Outputs(own, common, parts)

    def own_outputs(self, streams, training=None) -> Any:
        """Returns those of the tasks' own experts, or `None`."""
        if self.own is None:
            return None
        return self.own(streams, training=training)

    def features(self, streams):
        """Returns what gates read: `(B, D)`, or `(B, K, D)`."""
        apart = len(streams.shape) == 3 and streams.shape[1] == self._num_tasks
        return streams if apart else gate_features(streams)

    def weighed(self, streams, training=None) -> Any:
        """Returns the weights `(B, K, E)` of the experts that tasks read."""
        weights = self.gates(self.features(streams), training=training)
        return weights if self.skip is None else self.skip(weights)

    def mixed(self, outputs, streams, training=None) -> Any:
        """Returns the tasks' mixtures, `(B, K, U)`."""
        weights = self.weighed(streams, training)
        if self.residual:
            return mixture_of_parts(weights, outputs.every)
        total = None
        if self.num_shared:
            total = mixture(weights[..., self.num_own :], outputs.shared)
        if self.num_own:
            shape = (-1, self._num_tasks, self.num_own, outputs.own.shape[-1])
            own = ops.reshape(outputs.own, shape)
            mine: Any = ops.cast(weights[..., : self.num_own, None], own.dtype)
            mine = ops.sum(mine * own, axis=2)
            total = mine if total is None else ops.add(total, mine)
        return total

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
        super().__init__(**{"dtype": "float32", **kwargs})
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
        mine = ops.repeat(ops.eye(number), self.num_own, axis=1) * own
        return inputs + ops.pad(mine, [[0, 0], [0, self.num_shared]])
