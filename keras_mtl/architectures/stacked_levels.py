"""Levels of experts whose tasks are one product each: from input to mixture."""

import keras

from keras_mtl.architectures.experts import dense_layers
from keras_mtl.architectures.stacked_gates import stacked_gate
from keras_mtl.architectures.stacked_level import StackedLevel


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

        Raises:
            ValueError: If the experts read more than two axes.
        """
        shape = tuple(getattr(hidden, "shape", ()))
        if len(shape) != 2:
            raise ValueError(
                "With StackedHeads, experts read one tensor, (B, D). Received: "
                f"the shape {shape}. Pass bottom=..., a layer or model that "
                "ends with a Flatten or pooling layer, or a dict of heads."
            )
        *levels, last = self._levels
        streams, common = hidden, hidden
        for level in levels:
            streams, common = level.passed(streams, common, training)
        cut = {}
        if last.residual:
            cut["experts"] = last.banks(streams, common, training)
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
            return last.mixed_of_all(streams, cut["experts"], training)
        return last.mixed(streams, cut.get("shared"), training)

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
