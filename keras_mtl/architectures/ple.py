"""Progressive layered extraction: experts of single tasks, and shared ones."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
from keras import ops

from keras_mtl.architectures.arguments import gate_features, layer_or_none
from keras_mtl.architectures.gates import gate_config
from keras_mtl.architectures.joined_level import (
    Columns,
    expert_names,
    mixture_of_parts,
    mixtures,
)
from keras_mtl.architectures.layers_of_levels import (
    first_is_joined,
    gate_name,
    layers_of_levels,
    name_of,
)
from keras_mtl.architectures.levels import Level, check_levels
from keras_mtl.architectures.restoring import restored
from keras_mtl.architectures.stacked_levels import StackedLevels, are_alike
from keras_mtl.architectures.task_encoder import TaskEncoder


@keras.saving.register_keras_serializable(package="keras_mtl")
class PLE(TaskEncoder):
    """Levels of experts, some for one task only, some shared.

    In each level, a task's gate mixes the task's experts and the shared ones.
    Its result is what the task's experts of the next level read. A shared gate
    mixes the experts of all tasks for the shared experts of the next level;
    the last level has none. A single level is CGC. The columns of a task's
    gate are the task's experts, then the shared ones; those of the shared
    gate, and of all gates with `residual`, are the experts of all tasks in
    alphabetical order, then the shared ones.

    Example:

    >>> level = Level(keras.layers.Dense(16, "relu"), num_own=2, num_shared=1)
    >>> encoder = PLE(levels=[level, level])
    >>> model = MultiTaskModel(encoder, {"income": head, "marital": other})

    Args:
        task_names: Iterable of strings; by default those of the heads.
        levels: List of `Level`, or their config dicts.
        gate: `"softmax"`, `"dselect_k"`, or a `SoftmaxGate` or `SelectGate`;
            each gate is a copy.
        bottom: Layer or model below the first level, or `None`.
        residual: Boolean. If true, a task's gate mixes the experts of all
            tasks, and a combination of the task's experts with free weights is
            added (AdaTT).
        stop_gradient_others: Boolean. If true, a task's gate mixes the experts
            of all tasks, but its loss does not train those of others (the
            gating of STEM).

    Call arguments:
        inputs: Inputs for all tasks, or a dict of them by task name. Separate
            inputs pass the levels below the last once, all rows together.

    Returns:
        Dict from task name to `(B, ..., U)` representation. With
        `keras_mtl.layers.StackedHeads`, `(B, K, U)`: in one product for all
        tasks where they have as many `Dense` experts, and a gate of this
        package. The order of the experts is then that of the tasks.

    Raises:
        ValueError: If a task has no expert in a level, or a level no shared
            stream that the next one reads.

    Reference:
        - [Tang et al., 2020](https://dl.acm.org/doi/10.1145/3383313.3412236)
        - [Li et al., 2023](https://arxiv.org/abs/2304.04959), AdaTT
        - [Su et al., 2024](https://arxiv.org/abs/2308.08537), STEM
    """

    def __init__(
        self,
        task_names: Iterable[str] | None = None,
        levels: Sequence[Level | dict] = (),
        gate: str | dict | keras.layers.Layer = "softmax",
        bottom: keras.layers.Layer | None = None,
        residual: bool = False,
        stop_gradient_others: bool = False,
        **kwargs,
    ):
        super().__init__(task_names, **kwargs)
        self.levels = check_levels(levels)
        self.bottom = layer_or_none("bottom", bottom)
        self.residual = bool(residual)
        self.stop_gradient_others = bool(stop_gradient_others)
        self._gate = gate_config(gate, self.dtype_policy)
        self.in_one = None
        all_train = self.residual and not self.stop_gradient_others
        self._joins = first_is_joined(self.levels, all_train)
        self.bind(self.task_names)

    def task_layers(self, task_names):
        """Returns the banks and gates of all levels."""
        return layers_of_levels(
            self.levels,
            task_names,
            self._gate,
            self._joins,
            self.reads_all,
            self.residual,
        )

    @property
    def can_stack(self) -> bool:
        """Whether products can compute all tasks: they must be alike."""
        self.require_tasks()
        fit = are_alike(self.levels, self.task_names, self._gate)
        return fit and not self.stop_gradient_others

    def stack(self):
        """Puts experts and gates of alike tasks into one product each."""
        super().stack()
        if self.built or self.in_one or not self.can_stack:
            return
        self.drop_task_layers()
        self.in_one = StackedLevels(
            self.levels, self.task_names, self._gate, self._joins, self.residual
        )

    @property
    def stacked_layers(self) -> list:
        """Layers above the cut whose variables have a part for each task."""
        return self.in_one.layers_by_task if self.in_one else []

    @property
    def reads_all(self) -> bool:
        """Whether a task's gate mixes the experts of the other tasks, too."""
        return self.residual or self.stop_gradient_others

    def shared(self, inputs, training=None):
        """Returns the last level's streams, and what tasks read of others."""
        hidden = inputs
        if self.bottom is not None:
            hidden = self.bottom(inputs, training=training)
        if self.in_one:
            learned = self.bottom is not None
            return self.in_one.shared(hidden, learned, training)
        streams = dict.fromkeys([*self.task_names, None], hidden)
        for number in range(len(self.levels) - 1):
            if self._has("experts", number):
                streams = self._first_level(hidden, training)
                continue
            outputs = self._experts(number, streams, training)
            mixed = {
                task: self._mix(number, task, outputs, stream, training)
                for task, stream in streams.items()
                if task is not None or self._has("shared_gate", number)
            }
            streams = {None: mixed.get(None), **mixed}
        number, cut = len(self.levels) - 1, {}
        learned = number > 0 or self.bottom is not None
        if self.reads_all:
            outputs = self._experts(number, streams, training)
            # Names of one kind, which can be sorted.
            cut["experts"] = {t or "": bank for t, bank in outputs.items()}
        elif self._has("shared", number):
            bank = getattr(self, name_of("shared", number))
            cut["shared"] = bank(streams[None], training=training)
        if learned or not cut:
            cut["streams"] = {t: streams[t] for t in self.task_names}
        return cut

    def own(self, task, cut, inputs, training=None):
        """Returns a task's mixture of the last level."""
        if self.in_one:
            number = self.task_names.index(task)
            return self.own_all(cut, inputs, training)[:, number]
        number = len(self.levels) - 1
        stream = cut["streams"][task] if "streams" in cut else inputs
        if self.reads_all:
            outputs = {name or None: b for name, b in cut["experts"].items()}
        else:
            outputs = {}
            if self._has(f"own_{task}", number):
                bank = getattr(self, name_of(f"own_{task}", number))
                outputs[task] = bank(stream, training=training)
            if "shared" in cut:
                outputs[None] = cut["shared"]
        return self._mix(number, task, outputs, stream, training)

    def own_all(self, cut, inputs, training=None) -> Any:
        """Returns all mixtures of the last level, `(B, K, U)`."""
        if self.in_one:
            return self.in_one.own_all(cut, inputs, training)
        return super().own_all(cut, inputs, training)

    def gate_weights(self, inputs) -> dict:
        """Returns how much each expert counts in the last level.

        Args:
            inputs: Inputs for all tasks, or a dict of them by task name.

        Returns:
            Dict from task name to `(B, E)` float32, columns as the class says.
        """
        number, found = len(self.levels) - 1, {}
        for task, part in self.by_task(inputs).items():
            cut = self.shared(part)
            if self.in_one:
                place = self.task_names.index(task)
                found[task] = self.in_one.gate_weights(cut, part)[:, place]
                continue
            stream = cut["streams"][task] if "streams" in cut else part
            gate = getattr(self, gate_name(task, number))
            found[task] = gate(gate_features(stream))
        return found

    def expert_names(self) -> dict:
        """Returns a dict from task name to the names of `gate_weights`."""
        self.require_tasks()
        level = self.levels[-1]
        order = self.task_names if self.in_one else sorted(self.task_names)
        counts = {task: level.own_of(task) for task in order}
        return {
            task: expert_names(
                counts if self.reads_all else {"": counts[task]},
                level.num_shared,
            )
            for task in self.task_names
        }

    def _experts(self, number, streams, training):
        """Returns each stream's bank, `None` the shared one's."""
        banks = {}
        for task in [*sorted(self.task_names), None]:
            name = "shared" if task is None else f"own_{task}"
            if self._has(name, number):
                bank = getattr(self, name_of(name, number))
                banks[task] = bank(streams[task], training=training)
        return banks

    def _mix(self, number, task, banks, stream, training):
        """Returns the mixture of a task's gate, or of the shared one's."""
        others = {None} if task is not None and not self.reads_all else {*banks}
        # The order of the tasks in a model is to change nothing.
        order = [*sorted(self.task_names), None]
        read = [t for t in order if t in banks and (t == task or t in others)]
        parts = [
            ops.stop_gradient(banks[t])
            if self.stop_gradient_others
            and task is not None
            and t not in (task, None)
            else banks[t]
            for t in read
        ]
        weights = self._weigh(number, task, stream, training)
        return mixture_of_parts(weights, parts)

    def _weigh(self, number, task, stream, training):
        """Returns `(B, E)` weights of the experts that a gate reads."""
        gate = getattr(self, gate_name(task, number))
        weights = gate(gate_features(stream), training=training)
        skip = getattr(self, name_of(f"skip_{task}", number), None)
        return weights if skip is None else skip(weights)

    def _first_level(self, inputs, training):
        """Returns the streams above a level whose experts are one bank."""
        bank = getattr(self, name_of("experts", 0))(inputs, training=training)
        columns = Columns(self.levels[0].own_counts(self.task_names))
        streams = [*self.task_names, *[None] * self._has("shared_gate", 0)]
        rows, trained = [], None
        for task in streams:
            row = self._weigh(0, task, inputs, training)
            alone = task is not None and not self.reads_all
            rows.append(columns.widened(task, row) if alone else row)
        if self.stop_gradient_others:
            trained = [columns.trained(t, bank.shape[1]) for t in streams]
        mixed = mixtures(rows, bank, trained)
        return {None: None, **dict(zip(streams, mixed, strict=True))}

    def _has(self, role, number):
        return hasattr(self, name_of(role, number))

    def get_config(self):
        """Returns levels, gate and bottom, serialized."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "task_names": self.task_names and list(self.task_names),
            "levels": [serialize(level) for level in self.levels],
            "gate": self._gate,
            "bottom": serialize(self.bottom),
            "residual": self.residual,
            "stop_gradient_others": self.stop_gradient_others,
        }

    @classmethod
    def from_config(cls, config):
        """Returns the encoder of `get_config()`."""
        return restored(cls, config, ("levels", "gate", "bottom"))
