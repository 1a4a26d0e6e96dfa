"""A tower for each task, whose features are mixed between blocks."""

from collections.abc import Iterable, Mapping, Sequence

import keras
from keras import ops

from keras_mtl.architectures.arguments import (
    as_list,
    checked_layer,
    layer_or_none,
)
from keras_mtl.architectures.cloning import check_starts_apart, clone
from keras_mtl.architectures.restoring import restored
from keras_mtl.architectures.softmax_gate import precision
from keras_mtl.architectures.task_encoder import TaskEncoder
from keras_mtl.checks import above, at_least


@keras.saving.register_keras_serializable(package="keras_mtl")
class CrossStitch(TaskEncoder):
    """A tower of blocks for each task, with cross-stitch units in between.

    After block l, `h_k ← Σ_j α_l[k, j] h_j`, with a coefficient per channel.
    Rows of α start convex, with most on the task itself; they need not stay
    so. What leaves the last unit is the cut.

    Example:

    >>> blocks = [keras.layers.Dense(16, "relu"), keras.layers.Dense(8, "relu")]
    >>> encoder = CrossStitch(blocks=blocks)

    Args:
        task_names: Iterable of strings; by default those of the heads.
        blocks: List of layers or models, not built, from the inputs up; each
            task has copies with values of their own. Or a dict of such lists
            by task name, of equal lengths and output shapes.
        per_channel: Boolean. Whether each channel (entry of the last axis) has
            a coefficient of its own.
        same_task: Float in [0, 1]; α starts with it on a task's own features,
            and with the rest in equal parts on the others'.
        rate: Float above 0, how much faster the units learn than the blocks:
            a step of SGD is multiplied by its square, one of Adam by itself.
        last: Boolean. Whether a unit follows the last block, too.
        bottom: Layer or model below the towers, shared; None for none.

    Call arguments:
        inputs: Inputs for all tasks, or a dict of them by task name. Every
            row passes every tower.

    Returns:
        Dict from task name to representation.

    Raises:
        ValueError: If blocks are missing, or towers have unlike lengths.

    Reference:
        - [Misra et al., 2016](https://arxiv.org/abs/1604.03539)
    """

    def __init__(
        self,
        task_names: Iterable[str] | None = None,
        blocks: Sequence | Mapping[str, Sequence] = (),
        per_channel: bool = True,
        same_task: float = 0.9,
        rate: float = 1.0,
        last: bool = False,
        bottom: keras.layers.Layer | None = None,
        **kwargs,
    ):
        super().__init__(task_names, **kwargs)
        self.bottom = layer_or_none("bottom", bottom)
        self.per_channel, self.last = bool(per_channel), bool(last)
        self.same_task = at_least("same_task", same_task, 0.0)
        if self.same_task > 1.0:
            raise ValueError(
                "Argument `same_task` must be at most 1: rows of α start "
                f"convex. Received: same_task={same_task!r}"
            )
        self.rate = above("rate", rate, 0.0)
        self._blocks, self.num_blocks = _serialized(blocks)
        self.bind(self.task_names)

    def task_layers(self, task_names):
        """Returns each task's blocks, and its rows of the units."""
        towers = _towers(self._blocks, task_names)
        # The order of the tasks in a model is to change nothing.
        order = sorted(task_names)
        made = {}
        for place, task in enumerate(order):
            for number, config in enumerate(towers[task]):
                name = _block(task, number)
                made[name] = clone(config, place, name)
        own, rest = 1.0, 0.0
        if len(order) > 1:
            own = self.same_task
            rest = (1.0 - own) / (len(order) - 1)
        for number in range(self.num_units):
            for task in order:
                start = [own if other == task else rest for other in order]
                made[_unit(task, number)] = Stitch(
                    start, self.per_channel, self.rate, dtype=self.dtype_policy
                )
        return made

    @property
    def num_units(self) -> int:
        """How many cross-stitch units there are."""
        return self.num_blocks if self.last else self.num_blocks - 1

    def shared(self, inputs, training=None):
        """Returns what enters the last block of each tower."""
        if self.bottom is not None:
            inputs = self.bottom(inputs, training=training)
        features = dict.fromkeys(self.task_names, inputs)
        for number in range(self.num_units):
            outputs = [
                getattr(self, _block(task, number))(
                    features[task], training=training
                )
                for task in sorted(self.task_names)
            ]
            features = {
                task: getattr(self, _unit(task, number))(outputs)
                for task in self.task_names
            }
        return features

    def own(self, task, cut, inputs, training=None):
        """Returns the last block's output, or the last unit's."""
        if self.last:
            return cut[task]
        block = getattr(self, _block(task, self.num_blocks - 1))
        return block(cut[task], training=training)

    def stitches(self) -> list:
        """Returns α of each unit, `(K, K)` or `(K, K, C)`.

        Rows and columns are in the order of `task_names`.
        """
        self.require_tasks()
        places = [sorted(self.task_names).index(t) for t in self.task_names]
        return [
            ops.stack(
                [
                    ops.take(
                        getattr(self, _unit(task, number)).coefficients(),
                        places,
                        axis=0,
                    )
                    for task in self.task_names
                ]
            )
            for number in range(self.num_units)
        ]

    def get_config(self):
        """Returns the towers, serialized, and how they are stitched."""
        return {
            **super().get_config(),
            "task_names": self.task_names and list(self.task_names),
            "blocks": self._blocks,
            "per_channel": self.per_channel,
            "same_task": self.same_task,
            "rate": self.rate,
            "last": self.last,
            "bottom": keras.saving.serialize_keras_object(self.bottom),
        }

    @classmethod
    def from_config(cls, config):
        """Returns the encoder of `get_config()`."""
        return restored(cls, config, ("bottom",))


@keras.saving.register_keras_serializable(package="keras_mtl")
class Stitch(keras.layers.Layer):
    """One task's row of a cross-stitch unit.

    Args:
        start: List of K floats, the coefficients at the start.
        per_channel: Boolean.
        rate: Float above 0.

    Call arguments:
        inputs: List of K tensors of one shape.

    Returns:
        Their combination.
    """

    def __init__(self, start, per_channel, rate, **kwargs):
        super().__init__(**kwargs)
        self.start, self.per_channel, self.rate = start, per_channel, rate

    def build(self, input_shape):
        """Creates the moves of the coefficients, which start at 0."""
        shapes = {tuple(shape) for shape in input_shape}
        if len(shapes) > 1:
            raise ValueError(
                "Blocks of one place must have outputs of one shape in all "
                f"towers. Received: {sorted(shapes)}"
            )
        channels = input_shape[0][-1:] if self.per_channel else ()
        self.moves = self.add_weight(
            name="moves",
            shape=(len(self.start), *channels),
            initializer="zeros",
        )

    def coefficients(self):
        """Returns `(K,)` or `(K, C)` coefficients."""
        dtype = precision(self)
        start = ops.convert_to_tensor(self.start, dtype)
        moved = self.rate * ops.cast(self.moves, dtype)
        if self.per_channel:
            start = ops.expand_dims(start, 1)
        return start + moved

    def call(self, inputs):
        """Returns the combination."""
        rows = ops.unstack(self.coefficients(), axis=0)
        parts = [
            ops.cast(row, part.dtype) * part
            for row, part in zip(rows, inputs, strict=True)
        ]
        return sum(parts[1:], parts[0])

    def get_config(self):
        """Returns the arguments to make this row again."""
        own = {"start": self.start, "per_channel": self.per_channel}
        return {**super().get_config(), **own, "rate": self.rate}


def _serialized(blocks) -> tuple:
    """Returns the config of each block, nested as given, and how many."""
    serialize = keras.saving.serialize_keras_object
    alike = not isinstance(blocks, Mapping)
    towers = {
        task: [
            b if isinstance(b, dict) else serialize(checked_layer("blocks", b))
            for b in as_list("blocks", tower, "layers or models")
        ]
        for task, tower in ({"": blocks} if alike else blocks).items()
    }
    lengths = {task: len(tower) for task, tower in towers.items()}
    number = min(lengths.values(), default=0)
    if not number or len(set(lengths.values())) > 1:
        raise ValueError(
            "Towers must have the same number of blocks, at least one. "
            f"Received: {number if alike else lengths}"
        )
    return (towers[""] if alike else towers), number


def _towers(blocks, task_names) -> dict:
    """Returns the configs of each task's blocks."""
    if isinstance(blocks, list):
        blocks = dict.fromkeys(task_names, blocks)
    if set(blocks) != set(task_names):
        raise ValueError(
            "Argument `blocks` must have a list for each task. Tasks: "
            f"{list(task_names)}. Received: {list(blocks)}"
        )
    if len(task_names) > 1:
        for tower in blocks.values():
            check_starts_apart(tower)
    return blocks


def _block(task, number):
    return f"block_{number}_{task}"


def _unit(task, number):
    return f"stitch_{number}_{task}"
