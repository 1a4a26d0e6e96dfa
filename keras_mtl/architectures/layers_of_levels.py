"""The layers of levels of experts, a gate and a bank for each task."""

import keras

from keras_mtl.architectures.cloning import check_starts_apart, clones
from keras_mtl.architectures.experts import dense_layers
from keras_mtl.architectures.joined_level import Columns
from keras_mtl.architectures.levels import bank_of, check_own_experts
from keras_mtl.architectures.residual import Residual


def first_is_joined(levels, all_train) -> bool:
    """Returns whether every task trains all experts of the first level.

    Args:
        levels: List of `Level`.
        all_train: Boolean. Whether a task's loss trains the experts of others.
    """
    return len(levels) > 1 and bool(levels[1].num_shared or all_train)


def layers_of_levels(levels, task_names, gate, joins, reads_all, residual):
    """Returns a dict from name to layer, of all levels.

    Args:
        levels: List of `Level`.
        task_names: Tuple of strings.
        gate: Config dict of a gate.
        joins: Boolean. Whether the first level's experts, if they are `Dense`,
            are one bank.
        reads_all: Boolean. Whether a task's gate mixes the experts of all.
        residual: Boolean. Whether a task's own experts are added.

    Raises:
        ValueError: If the levels do not fit the tasks, experts would start
            equal, or a gate cannot read as many as it is to.
    """
    check_own_experts(levels, task_names)
    made = {}
    for number, level in enumerate(levels):
        later = levels[number + 1 :]
        counts = level.own_counts(task_names)
        config = keras.saving.serialize_keras_object(level.expert)
        every = sum(counts.values()) + level.num_shared
        if joins and not number and dense_layers(level.expert):
            banks = {"experts": every}
        else:
            banks = {f"own_{task}": count for task, count in counts.items()}
            banks["shared"] = level.num_shared
        for place, (role, count) in enumerate(banks.items()):
            if count:
                made[name_of(role, number)] = bank_of(config, place, count)
        gates: dict = {
            task: every if reads_all else count + level.num_shared
            for task, count in counts.items()
        }
        if later and later[0].num_shared:
            gates[None] = every
        if every > 1:
            check_starts_apart(config)
        made |= _gates(gate, gates, number)
        if residual:
            made |= {
                name_of(f"skip_{task}", number): Residual(
                    Columns(counts).before(task), count
                )
                for task, count in counts.items()
                if count
            }
    return made


def _gates(config, reads, number):
    """Returns the gates of a level, bound to the experts that each reads."""
    copies = clones(config, [gate_name(task, number) for task in reads])
    for copy, (task, count) in zip(copies, reads.items(), strict=True):
        try:
            copy.bind(count)
        except ValueError as error:
            whose = "The shared gate" if task is None else f"Task {task!r}"
            raise ValueError(
                f"{whose} reads {count} experts in level {number}. {error}"
            ) from error
    return {copy.name: copy for copy in copies}


def name_of(role, number) -> str:
    """Returns the name of a layer of a level."""
    return f"{role}_level_{number}"


def gate_name(task, number) -> str:
    """Returns the name of a task's gate, or with `None` of the shared one."""
    return name_of("shared_gate" if task is None else f"gate_{task}", number)
