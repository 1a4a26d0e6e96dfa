"""Encoders of experts, as a user writes them, with the protocol only."""

import keras

from keras_mtl.architectures import TaskEncoder

Dense, ops = keras.layers.Dense, keras.ops


@keras.saving.register_keras_serializable("tests.architectures")
class Mixture(TaskEncoder):
    """Experts that all tasks mix by a gate of their own."""

    def __init__(self, task_names, units=4, num_experts=3, **kwargs):
        super().__init__(task_names, **kwargs)
        self.units, self.num_experts = units, num_experts
        self.bottom = Dense(units + 1, "tanh")
        for number in range(num_experts):
            setattr(self, f"hidden_{number}", Dense(units, "tanh"))
            setattr(self, f"expert_{number}", Dense(units, "tanh"))
        for task in task_names:
            setattr(self, f"gate_{task}", Dense(num_experts, "softmax"))

    def shared(self, inputs):
        """Returns the bank `(B, E, U)` and what the gates read."""
        low = self.bottom(inputs)
        experts = [
            getattr(self, f"expert_{n}")(getattr(self, f"hidden_{n}")(low))
            for n in range(self.num_experts)
        ]
        return {"bank": ops.stack(experts, axis=1), "low": low}

    def own(self, task, cut, inputs):
        """Returns the task's mixture, `(B, U)`."""
        gate = getattr(self, f"gate_{task}")(cut["low"])
        return ops.einsum("be,beu->bu", gate, cut["bank"])


@keras.saving.register_keras_serializable("tests.architectures")
class Extraction(TaskEncoder):
    """Three levels of own and shared experts, as the PLE paper has them."""

    def __init__(self, task_names, units=3, num_levels=3, **kwargs):
        super().__init__(task_names, **kwargs)
        self.units, self.num_levels = units, num_levels
        self.streams = (*self.task_names, "common")
        for level in range(num_levels):
            last = level == num_levels - 1
            for stream in self.streams:
                setattr(self, f"expert_{stream}_{level}", Dense(units, "tanh"))
                if not (last and stream == "common"):
                    experts = 2 if stream != "common" else len(self.streams)
                    gate = Dense(experts, "softmax")
                    setattr(self, f"gate_{stream}_{level}", gate)

    def shared(self, inputs):
        """Returns what enters the last level, and its shared expert."""
        streams = dict.fromkeys(self.streams, inputs)
        for level in range(self.num_levels - 1):
            outputs = {
                stream: self._expert(stream, level, x)
                for stream, x in streams.items()
            }
            streams = {
                stream: self._mix(stream, level, x, outputs)
                for stream, x in streams.items()
            }
        common = streams.pop("common")
        last = self._expert("common", self.num_levels - 1, common)
        return {**streams, "common": last}

    def own(self, task, cut, inputs):
        """Returns the task's mixture of the last level."""
        level = self.num_levels - 1
        outputs = {
            task: self._expert(task, level, cut[task]),
            "common": cut["common"],
        }
        return self._mix(task, level, cut[task], outputs)

    def _expert(self, stream, level, x):
        return getattr(self, f"expert_{stream}_{level}")(x)

    def _mix(self, stream, level, x, outputs):
        if stream != "common":
            outputs = {name: outputs[name] for name in (stream, "common")}
        gate = getattr(self, f"gate_{stream}_{level}")(x)
        experts = ops.stack(list(outputs.values()), axis=1)
        return ops.einsum("be,beu->bu", gate, experts)
