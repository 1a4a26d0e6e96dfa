"""Gates by name: how much each expert counts for a row."""

from typing import cast

import keras

from keras_mtl.architectures.select_gate import SelectGate
from keras_mtl.architectures.softmax_gate import SoftmaxGate

GATES = {"softmax": SoftmaxGate, "dselect_k": SelectGate}


def gate_config(gate, dtype=None) -> dict:
    """Returns the config dict of a gate.

    Args:
        gate: `"softmax"`, `"dselect_k"`, a config dict, or a gate: a layer
            with `bind(num_experts)` that returns `(B, E)` weights.
        dtype: Precision policy of a gate that is given by its name.

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(gate, str) and gate in GATES:
        gate = GATES[gate](dtype=dtype)
    if isinstance(gate, dict):
        gate = keras.saving.deserialize_keras_object(gate)
    if not isinstance(gate, keras.layers.Layer) or not hasattr(gate, "bind"):
        raise ValueError(
            f"Argument `gate` must be one of {list(GATES)}, a gate of "
            f"keras_mtl.architectures, or its config. Received: gate={gate!r}"
        )
    return cast(dict, keras.saving.serialize_keras_object(gate))
