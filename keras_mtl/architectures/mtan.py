"""A shared trunk, to whose features each task applies its attention."""

from collections.abc import Iterable, Sequence

import keras
from keras import ops

from keras_mtl.architectures.arguments import as_list, checked_layer
from keras_mtl.architectures.restoring import restored
from keras_mtl.architectures.task_encoder import TaskEncoder
from keras_mtl.checks import integer


@keras.saving.register_keras_serializable(package="keras_mtl")
class MTAN(TaskEncoder):
    """Multi-task attention network: tasks mask what a shared trunk sees.

    Block j of the trunk gives `u_j` after its first part and `p_j` after its
    second. Task k looks at `[u_j, f_{j-1}(q_{j-1})]` (the first block: at
    `u_j`), makes a mask between 0 and 1 of it, and keeps `q_j = mask ⊙ p_j`.
    `f_j`, between blocks, is shared by the tasks and brings `q_j` to the size
    of `u_{j+1}`. All `u_j` and `p_j` are the cut.

    Example:

    >>> conv = lambda: keras.layers.Conv2D(8, 3, padding="same")
    >>> pool = lambda: keras.layers.MaxPooling2D()
    >>> encoder = MTAN(
    ...     blocks=[(conv(), conv()), (keras.Sequential([pool(), conv()]),
    ...                                conv())],
    ...     between=[keras.Sequential([conv(), pool()])],
    ... )

    Args:
        task_names: Iterable of strings; by default those of the heads.
        blocks: List of pairs of layers or models, from the inputs up.
        between: List of layers or models, one fewer than blocks.
        hidden: Integer, channels inside an attention; those of `p_j` by
            default.
        normalise: Boolean, whether batch-norm follows each product of an
            attention, as published. With separate inputs it sees the rows of
            one task only.

    Call arguments:
        inputs: Inputs for all tasks, or a dict of them by task name.

    Returns:
        Dict from task name to `q_J`, of the shape of the last `p_J`.

    Raises:
        ValueError: If the blocks are not pairs, or `between` does not fit.

    Reference:
        - [Liu et al., 2019](https://arxiv.org/abs/1803.10704)
    """

    def __init__(
        self,
        task_names: Iterable[str] | None = None,
        blocks: Sequence[Sequence[keras.layers.Layer]] = (),
        between: Sequence[keras.layers.Layer] = (),
        hidden: int | None = None,
        normalise: bool = True,
        **kwargs,
    ):
        super().__init__(task_names, **kwargs)
        _check_blocks(blocks, between)
        if hidden is not None:
            hidden = integer("hidden", hidden, 1)
        self.hidden, self.normalise = hidden, bool(normalise)
        self.num_blocks = len(blocks)
        for number, (first, second) in enumerate(blocks):
            setattr(self, f"first_{number}", first)
            setattr(self, f"second_{number}", second)
        for number, layer in enumerate(between):
            setattr(self, f"between_{number}", layer)
        self.bind(self.task_names)

    def task_layers(self, task_names):
        """Returns an attention of each task for each block."""
        names = [
            f"attention_{number}_{task}"
            for number in range(self.num_blocks)
            for task in task_names
        ]
        settings = {"hidden": self.hidden, "normalise": self.normalise}
        return {
            name: Attention(**settings, name=name, dtype=self.dtype_policy)
            for name in names
        }

    def shared(self, inputs, training=None):
        """Returns the trunk's features: a pair for each block."""
        features = []
        for number in range(self.num_blocks):
            first = getattr(self, f"first_{number}")
            second = getattr(self, f"second_{number}")
            seen = first(inputs, training=training)
            inputs = second(seen, training=training)
            features.append([seen, inputs])
        return features

    def own(self, task, cut, inputs, training=None):
        """Returns what a task's masks leave of the trunk."""
        kept = None
        for number, (seen, passed) in enumerate(cut):
            if kept is not None:
                between = getattr(self, f"between_{number - 1}")
                kept = between(kept, training=training)
                _check_places(f"between[{number - 1}]", kept, number, seen)
                seen = ops.concatenate([seen, kept], axis=-1)
            _check_places("its second part", passed, number, seen)
            attention = getattr(self, f"attention_{number}_{task}")
            mask = attention([seen, passed], training=training)
            kept = mask * passed
        return kept

    def get_config(self):
        """Returns the trunk, serialized, and how tasks attend to it."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "task_names": self.task_names and list(self.task_names),
            "blocks": [
                [
                    serialize(getattr(self, f"first_{number}")),
                    serialize(getattr(self, f"second_{number}")),
                ]
                for number in range(self.num_blocks)
            ],
            "between": [
                serialize(getattr(self, f"between_{number}"))
                for number in range(self.num_blocks - 1)
            ],
            "hidden": self.hidden,
            "normalise": self.normalise,
        }

    @classmethod
    def from_config(cls, config):
        """Returns the encoder of `get_config()`."""
        return restored(cls, config, ("blocks", "between"))


@keras.saving.register_keras_serializable(package="keras_mtl")
class Attention(keras.layers.Layer):
    """A mask between 0 and 1: two products over channels, and a sigmoid.

    Args:
        hidden: Integer, or `None` for the channels of what is masked.
        normalise: Boolean, whether batch-norm follows each product.

    Call arguments:
        inputs: Pair of what is looked at, `(B, ..., C)`, and what is masked,
            `(B, ..., D)`.

    Returns:
        `(B, ..., D)` mask.
    """

    def __init__(self, hidden=None, normalise=True, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.normalise = hidden, normalise

    def build(self, input_shape):
        """Creates the products, 1 x 1 convolutions where inputs are images."""
        seen, passed = input_shape
        units = [self.hidden or passed[-1], passed[-1]]
        self.first, self.second = (
            keras.layers.Dense(n, dtype=self.dtype_policy) for n in units
        )
        self.first.build(seen)
        self.second.build((*seen[:-1], units[0]))
        if self.normalise:
            self.norms = [
                keras.layers.BatchNormalization(dtype=self.dtype_policy)
                for _ in units
            ]
            for norm, channels in zip(self.norms, units, strict=True):
                norm.build((*passed[:-1], channels))

    def call(self, inputs, training=None):
        """Returns the mask."""
        seen, _ = inputs
        hidden = ops.relu(self._normed(0, self.first(seen), training))
        return ops.sigmoid(self._normed(1, self.second(hidden), training))

    def _normed(self, number, features, training):
        if not self.normalise:
            return features
        return self.norms[number](features, training=training)

    def get_config(self):
        """Returns the arguments to make this layer again."""
        own = {"hidden": self.hidden, "normalise": self.normalise}
        return {**super().get_config(), **own}


def _check_blocks(blocks, between):
    between = as_list("between", between, "layers or models")
    pairs = isinstance(blocks, list | tuple) and all(
        isinstance(block, list | tuple) and len(block) == 2 for block in blocks
    )
    if not blocks or not pairs:
        raise ValueError(
            "Argument `blocks` must be a list of pairs of layers, at least "
            f"one. Received: blocks={blocks!r}"
        )
    for part in (part for block in blocks for part in block):
        checked_layer("blocks", part)
    for part in between:
        checked_layer("between", part)
    if len(between) != len(blocks) - 1:
        raise ValueError(
            "Argument `between` must have a layer between each two blocks: "
            f"{len(blocks) - 1}. Received: {len(between)}"
        )


def _check_places(what, features, number, seen):
    """Raises if features have other pixels than what is looked at."""
    shapes = [tuple(tensor.shape[1:-1]) for tensor in (features, seen)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"In block {number}, what {what} returns has the places "
            f"{shapes[0]}, but the block's first part returns {shapes[1]}. "
            "Bring both to one size: `between` scales as the next block's "
            "first part does."
        )
