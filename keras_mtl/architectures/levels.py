"""A level of experts: shared ones, and some for each task."""

from collections.abc import Mapping

import keras

from keras_mtl.architectures.arguments import checked_layer
from keras_mtl.architectures.cloning import reseeded
from keras_mtl.architectures.experts import Experts
from keras_mtl.architectures.restoring import restored
from keras_mtl.checks import did_you_mean, integer

# More than a bank has experts, so that no seed occurs twice.
BETWEEN_BANKS = 1_000


@keras.saving.register_keras_serializable(package="keras_mtl")
class Level:
    """What a level of `PLE` consists of.

    Example:

    >>> first = Level(keras.layers.Dense(8, "relu"), num_own=2, num_shared=1)
    >>> second = Level(keras.layers.Dense(4, "relu"))
    >>> encoder = PLE(levels=[first, second])

    Args:
        expert: Layer or model, not built: what an expert is.
        num_own: Integer, experts of each task; or a dict from task name to
            integer.
        num_shared: Integer, experts that all tasks read.

    Raises:
        ValueError: If `expert` is no layer, or a number is negative.
    """

    def __init__(
        self,
        expert: keras.layers.Layer,
        num_own: int | Mapping[str, int] = 1,
        num_shared: int = 1,
    ):
        self.expert = checked_layer("expert", expert)
        if isinstance(num_own, Mapping):
            self.num_own = {
                task: integer(f"num_own[{task!r}]", count, 0)
                for task, count in num_own.items()
            }
        else:
            self.num_own = integer("num_own", num_own, 0)
        self.num_shared = integer("num_shared", num_shared, 0)

    def own_of(self, task) -> int:
        """Returns the number of a task's own experts."""
        if isinstance(self.num_own, dict):
            return self.num_own[task]
        return self.num_own

    def own_counts(self, task_names) -> dict:
        """Returns the tasks' own experts, by name: no order changes a thing."""
        return {task: self.own_of(task) for task in sorted(task_names)}

    def get_config(self) -> dict:
        """Returns the arguments to make this level again."""
        return {
            "expert": keras.saving.serialize_keras_object(self.expert),
            "num_own": self.num_own,
            "num_shared": self.num_shared,
        }

    @classmethod
    def from_config(cls, config):
        """Returns the level of `get_config()`."""
        return restored(cls, config, ("expert",))


def bank_of(config, place, num_experts):
    """Returns a bank whose experts start apart from those of other banks."""
    return Experts(expert_of(config, place), num_experts)


def expert_of(config, place):
    """Returns the expert of a bank, with the bank's seeds."""
    own = reseeded(config, BETWEEN_BANKS * place)
    return keras.saving.deserialize_keras_object(own)


def check_levels(levels) -> list[Level]:
    """Returns the levels, or raises.

    Args:
        levels: List of `Level` or of their config dicts.

    Raises:
        ValueError: If there is none, or one has shared experts that have no
            stream of the level below to read.
    """
    if not isinstance(levels, list | tuple) or not levels:
        raise ValueError(
            "Argument `levels` must be a list of at least one "
            f"keras_mtl.architectures.Level. Received: levels={levels!r}"
        )
    levels = [
        keras.saving.deserialize_keras_object(level)
        if isinstance(level, dict)
        else level
        for level in levels
    ]
    for number, level in enumerate(levels):
        if not isinstance(level, Level):
            raise ValueError(
                "Argument `levels` must be a list of "
                f"keras_mtl.architectures.Level. Received: {level!r}"
            )
        below = levels[number - 1] if number else None
        if below is not None and level.num_shared and not below.num_shared:
            raise ValueError(
                f"Level {number} has shared experts, but level {number - 1} "
                "has none whose stream they could read. Set num_shared of "
                f"level {number - 1} to at least 1, or of level {number} to 0."
            )
    return levels


def check_own_experts(levels, task_names):
    """Raises if levels and tasks do not fit together.

    Args:
        levels: List of `Level`.
        task_names: Tuple of strings.

    Raises:
        ValueError: If a name is no task's, or a task has no expert to read.
    """
    for number, level in enumerate(levels):
        _check_names(level, task_names)
        for task in task_names:
            if level.own_of(task) + level.num_shared < 1:
                raise ValueError(
                    f"Task {task!r} has no expert in level {number}: it has "
                    "none of its own, and none is shared. Raise num_own or "
                    "num_shared."
                )


def _check_names(level, task_names):
    if not isinstance(level.num_own, dict):
        return
    for task in level.num_own:
        if task not in task_names:
            raise ValueError(
                f"Argument `num_own` names {task!r}, which is no task. Tasks: "
                f"{list(task_names)}.{did_you_mean(task, task_names)}"
            )
    missing = [task for task in task_names if task not in level.num_own]
    if missing:
        raise ValueError(
            f"Argument `num_own` gives no number for the tasks {missing}. Give "
            "one for each, 0 included."
        )
