# pyright: reportMissingImports=false
"""Rows that do the same work in PyTorch, to hold this package against.

Needs the extra `peers`.
"""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torchjd.aggregation import PCGrad, PCGradWeighting
from torchjd.autogram import Engine
from torchjd.autojac import jac_to_grad, mtl_backward

from keras_mtl import weighters
from keras_mtl.lab.benchmarks.peer_experts import expert_encoder
from keras_mtl.lab.benchmarks.peer_solvers import WEIGHTINGS
from keras_mtl.lab.benchmarks.pytorch import torch


@dataclass(frozen=True)
class TorchRow:
    """Makes a runner of an encoder with binary heads.

    Args:
        runner: Subclass of `TorchRunner`.
        encoder: Function that returns `(encoder, units)`: a module, inputs ->
            `(B, units)` for all tasks, or a list with one for each.
        x: `(B, inputs)` float32.
        y: `(B, K)` float32.
        learning_rate: Float.
        threads: Integer; 0 for as many as PyTorch likes.
        method: Config dict of the weighter that does the same.
        weighting: Function that returns TorchJD's `Weighting`.
    """

    runner: type
    encoder: Callable
    x: np.ndarray
    y: np.ndarray
    learning_rate: float
    threads: int
    method: dict[str, Any]
    weighting: Callable = PCGradWeighting

    def __call__(self):
        """Returns the runner."""
        if self.threads:
            torch.set_num_threads(self.threads)
        return self.runner(
            *self.encoder(),
            self.x,
            self.y,
            self.learning_rate,
            self.weighting(),
        )


def dense_encoder(widths):
    """Returns dense layers and the units of the last.

    Args:
        widths: Tuple of integers: inputs, then units of the dense layers.
    """
    layers = []
    for inputs, units in itertools.pairwise(widths):
        layers += [torch.nn.Linear(inputs, units), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers), widths[-1]


class TorchRunner:
    """Trains an encoder and heads on one batch, with the sum of the losses.

    Args:
        encoder: Module, as in `TorchRow`. One with parameters of single tasks
            has `shared_parameters()` and `own_parameters(index)`.
        units: Integer, of a representation.
        x: `(B, inputs)` float32.
        y: `(B, K)` float32.
        learning_rate: Float.
        weighting: TorchJD's `Weighting`.
    """

    def __init__(self, encoder, units, x, y, learning_rate, weighting):
        self.encoder, self.weighting = encoder, weighting
        self.heads = torch.nn.ModuleList(
            torch.nn.Linear(units, 1) for _ in range(y.shape[1])
        )
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y).split(1, 1)
        self.optimizer = torch.optim.Adam(
            [*self.encoder.parameters(), *self.heads.parameters()],
            lr=learning_rate,
        )

    def shared(self):
        """Returns the parameters that more than one task's loss reaches."""
        of = getattr(self.encoder, "shared_parameters", None)
        return list(of() if of else self.encoder.parameters())

    def own(self, index):
        """Returns the parameters that only this task's loss reaches."""
        of = getattr(self.encoder, "own_parameters", lambda index: [])
        return [*of(index), *self.heads[index].parameters()]

    def run(self, steps):
        """Takes `steps` training steps."""
        loss = torch.nn.functional.binary_cross_entropy_with_logits
        for _ in range(steps):
            self.optimizer.zero_grad()
            representation = self.encoder(self.x)
            read = representation
            if not isinstance(read, list):
                read = [representation] * len(self.heads)
            losses = [
                loss(head(rows), labels)
                for head, rows, labels in zip(
                    self.heads, read, self.y, strict=True
                )
            ]
            self.backward(representation, losses)
            self.optimizer.step()

    def backward(self, representation, losses):
        """Fills the gradients of all parameters."""
        torch.stack(losses).sum().backward()


class Loop(TorchRunner):
    """A backward pass for each task, and the Gramian of the results."""

    def backward(self, representation, losses):
        """Fills the gradients of all parameters."""
        shared, tasks = self.shared(), []
        for index, loss in enumerate(losses):
            own = self.own(index)
            # Of a task that does not reach all of it: zeros.
            pulled = torch.autograd.grad(
                loss,
                [*shared, *own],
                retain_graph=True,
                allow_unused=True,
                materialize_grads=True,
            )
            tasks.append(pulled[: len(shared)])
            for parameter, gradient in zip(
                own, pulled[len(shared) :], strict=True
            ):
                parameter.grad = gradient
        jacobians = [
            torch.stack(gradients).flatten(1)
            for gradients in zip(*tasks, strict=True)
        ]
        gramian = torch.stack([rows @ rows.T for rows in jacobians]).sum(0)
        weights = self.weighting(gramian)
        for parameter, rows in zip(shared, jacobians, strict=True):
            parameter.grad = (weights @ rows).reshape(parameter.shape)


class MTLBackward(TorchRunner):
    """TorchJD's Jacobian of all tasks, and its aggregation."""

    def backward(self, representation, losses):
        """Fills the gradients of all parameters."""
        mtl_backward(losses, features=representation)
        jac_to_grad(self.encoder.parameters(), PCGrad())


class Autogram(TorchRunner):
    """TorchJD's Gramian without the Jacobian, then one backward pass."""

    def __init__(self, *args):
        super().__init__(*args)
        self.engine = Engine(self.encoder, batch_dim=None)

    def backward(self, representation, losses):
        """Fills the gradients of all parameters."""
        stacked = torch.stack(losses)
        weights = self.weighting(self.engine.compute_gramian(stacked))
        shared, own = self.encoder.parameters(), self.heads.parameters()
        stacked.backward(weights, retain_graph=True, inputs=list(shared))
        stacked.sum().backward(inputs=list(own))


# Each with the weighter that does the same.
RUNNERS = {
    "torch uniform": (TorchRunner, "uniform"),
    "torch loop": (Loop, "pcgrad"),
    "torchjd mtl_backward": (MTLBackward, "pcgrad"),
    "torchjd autogram": (Autogram, "pcgrad"),
}


def torch_rows(work, threads, names=()) -> dict[str, TorchRow]:
    """Returns rows with the sizes and data of a workload, by label.

    Args:
        work: `Workload` of the name mlp, mmoe or ple.
        threads: Integer; 0 for as many as PyTorch likes.
        names: Iterable of names of weighters, whose steps by TorchJD are rows,
            too, where it has them and the workload is of dense layers.
    """
    y = work.y
    if isinstance(y, dict):
        y = np.concatenate(list(y.values()), axis=1)
    rows = {
        label: (runner, method, PCGradWeighting)
        for label, (runner, method) in RUNNERS.items()
    }
    if work.name == "mlp":
        units = [layer.units for layer in work.model.encoder.layers[1:]]
        encoder = functools.partial(dense_encoder, (work.x.shape[1], *units))
        rows |= {
            f"autogram {label}": (Autogram, name, make)
            for label, (name, make) in WEIGHTINGS.items()
            if name in names and label != "PCGrad"
        }
    else:
        encoder = expert_encoder(work.model.encoder, work.x.shape[1])
        # TorchJD's ways take the gates for shared.
        rows = {label: rows[label] for label in ("torch uniform", "torch loop")}
    rate = float(work.model.optimizer.learning_rate)
    return {
        label: TorchRow(
            runner,
            encoder,
            work.x,
            y,
            rate,
            threads,
            weighters.serialize(weighters.get(name)),
            weighting,
        )
        for label, (runner, name, weighting) in rows.items()
    }
