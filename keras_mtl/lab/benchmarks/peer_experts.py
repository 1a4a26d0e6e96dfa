"""Mixtures of experts in PyTorch, as LibMTL has them: module by module."""

import functools

import keras

from keras_mtl.lab.benchmarks.pytorch import torch


def expert_encoder(encoder, num_inputs):
    """Returns a function that makes the PyTorch encoder of the same sizes.

    Args:
        encoder: `MMoE`, or `PLE` with levels that are alike, an own expert for
            each task; experts of one dense layer.
        num_inputs: Integer.
    """
    num_tasks = len(encoder.task_names)
    levels = getattr(encoder, "levels", None)
    if levels is None:
        expert = encoder.experts.get_config()["expert"]
        count = encoder.experts.num_experts
        units = _units(keras.saving.deserialize_keras_object(expert))
        return lambda: (Mixture(num_inputs, units, count, num_tasks), units)
    units, count = _units(levels[0].expert), levels[0].num_shared
    sizes = (num_inputs, units, count, num_tasks, len(levels))
    return lambda: (Extraction(*sizes), units)


def _units(expert):
    [layer] = expert.layers
    return layer.units


def experts(inputs, units, count):
    """Returns a list of dense experts."""
    return torch.nn.ModuleList(
        torch.nn.Sequential(torch.nn.Linear(inputs, units), torch.nn.ReLU())
        for _ in range(count)
    )


def gate(inputs, count):
    """Returns a softmax over experts."""
    return torch.nn.Sequential(
        torch.nn.Linear(inputs, count), torch.nn.Softmax(1)
    )


def mixed(weights, outputs):
    """Returns `(B, units)` of weights `(B, E)` and E outputs `(B, units)`."""
    return torch.einsum("be,ebu->bu", weights, torch.stack(outputs))


class Mixture(torch.nn.Module):
    """Experts that all tasks share, and a gate for each task.

    Reference:
        - [Ma et al., 2018](https://doi.org/10.1145/3219819.3220007)
    """

    def __init__(self, inputs, units, num_experts, num_tasks):
        super().__init__()
        self.experts = experts(inputs, units, num_experts)
        self.gates = torch.nn.ModuleList(
            gate(inputs, num_experts) for _ in range(num_tasks)
        )

    def forward(self, x):
        """Returns a list of representations."""
        outputs = [expert(x) for expert in self.experts]
        return [mixed(gate(x), outputs) for gate in self.gates]

    def shared_parameters(self):
        """Returns those of the experts."""
        return self.experts.parameters()

    def own_parameters(self, index):
        """Returns those of a gate."""
        return self.gates[index].parameters()


class ExtractionLevel(torch.nn.Module):
    """An expert for each task, shared ones, and gates."""

    def __init__(self, inputs, units, num_shared, num_tasks, last):
        super().__init__()
        self.own = experts(inputs, units, num_tasks)
        self.common = experts(inputs, units, num_shared)
        self.gates = torch.nn.ModuleList(
            gate(inputs, 1 + num_shared) for _ in range(num_tasks)
        )
        self.gate = None if last else gate(inputs, num_tasks + num_shared)

    def forward(self, streams):
        """Takes and returns the tasks' streams and the shared one."""
        *rows, shared = streams
        own = [expert(x) for expert, x in zip(self.own, rows, strict=True)]
        common = [expert(shared) for expert in self.common]
        found = [
            mixed(gate(x), [mine, *common])
            for gate, x, mine in zip(self.gates, rows, own, strict=True)
        ]
        if self.gate is None:
            return found
        return [*found, mixed(self.gate(shared), [*own, *common])]


class Extraction(torch.nn.Module):
    """Progressive layered extraction.

    Reference:
        - [Tang et al., 2020](https://doi.org/10.1145/3383313.3412236)
    """

    def __init__(self, inputs, units, num_shared, num_tasks, num_levels):
        super().__init__()
        level = functools.partial(
            ExtractionLevel,
            units=units,
            num_shared=num_shared,
            num_tasks=num_tasks,
        )
        self.num_tasks = num_tasks
        self.levels = torch.nn.ModuleList(
            level(units if index else inputs, last=index == num_levels - 1)
            for index in range(num_levels)
        )

    def forward(self, x):
        """Returns a list of representations."""
        streams = [x] * (self.num_tasks + 1)
        for level in self.levels:
            streams = level(streams)
        return streams

    def own_parameters(self, index):
        """Returns those from which a path leads to one task's output alone."""
        *_, before, last = [None, *self.levels]
        own = [*last.own[index].parameters(), *last.gates[index].parameters()]
        # Read by the task's own expert of the last level, and nothing else.
        return [*own, *(before.gates[index].parameters() if before else ())]

    def shared_parameters(self):
        """Returns all others."""
        own = {
            id(p)
            for index in range(self.num_tasks)
            for p in self.own_parameters(index)
        }
        return [p for p in self.parameters() if id(p) not in own]
