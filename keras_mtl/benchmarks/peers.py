# pyright: reportMissingImports=false
"""Rows that do the same work in PyTorch, to hold this package against.

Needs the extra `peers`.
"""

import itertools
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_mtl import weighters

# It brings an LLVM of its own, which ends a process that has TensorFlow's;
# without it PyTorch does on processors what it did before.
sys.modules.setdefault("triton", None)  # type: ignore

import torch
from torchjd.aggregation import PCGrad, PCGradWeighting
from torchjd.autogram import Engine
from torchjd.autojac import jac_to_grad, mtl_backward


@dataclass(frozen=True)
class TorchRow:
    """Makes a runner of dense layers with binary heads.

    Args:
        runner: Subclass of `TorchRunner`.
        widths: Tuple of integers: inputs, then units of the dense layers.
        x: `(B, widths[0])` float32.
        y: `(B, K)` float32.
        learning_rate: Float.
        threads: Integer; 0 for as many as PyTorch likes.
        method: Config dict of the weighter that does the same.
    """

    runner: type
    widths: tuple[int, ...]
    x: np.ndarray
    y: np.ndarray
    learning_rate: float
    threads: int
    method: dict[str, Any]

    def __call__(self):
        """Returns the runner."""
        if self.threads:
            torch.set_num_threads(self.threads)
        return self.runner(self.widths, self.x, self.y, self.learning_rate)


class TorchRunner:
    """Trains an encoder and heads on one batch, with the sum of the losses.

    Args:
        widths: Tuple of integers: inputs, then units of the dense layers.
        x: `(B, widths[0])` float32.
        y: `(B, K)` float32.
        learning_rate: Float.
    """

    def __init__(self, widths, x, y, learning_rate):
        layers = []
        for inputs, units in itertools.pairwise(widths):
            layers += [torch.nn.Linear(inputs, units), torch.nn.ReLU()]
        self.encoder = torch.nn.Sequential(*layers)
        self.heads = torch.nn.ModuleList(
            torch.nn.Linear(widths[-1], 1) for _ in range(y.shape[1])
        )
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y).split(1, 1)
        self.optimizer = torch.optim.Adam(
            [*self.encoder.parameters(), *self.heads.parameters()],
            lr=learning_rate,
        )

    def run(self, steps):
        """Takes `steps` training steps."""
        loss = torch.nn.functional.binary_cross_entropy_with_logits
        for _ in range(steps):
            self.optimizer.zero_grad()
            representation = self.encoder(self.x)
            losses = [
                loss(head(representation), labels)
                for head, labels in zip(self.heads, self.y, strict=True)
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
        shared = list(self.encoder.parameters())
        tasks = []
        for head, loss in zip(self.heads, losses, strict=True):
            own = list(head.parameters())
            pulled = torch.autograd.grad(
                loss, [*shared, *own], retain_graph=True
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
        weights = PCGradWeighting()(gramian)
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
        weights = PCGradWeighting()(self.engine.compute_gramian(stacked))
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


def torch_rows(work, threads) -> dict[str, TorchRow]:
    """Returns rows with the layers and data of a workload, by label.

    Args:
        work: `Workload` of dense layers with binary heads.
        threads: Integer; 0 for as many as PyTorch likes.
    """
    units = [layer.units for layer in work.model.encoder.layers[1:]]
    return {
        label: TorchRow(
            runner,
            (work.x.shape[1], *units),
            work.x,
            np.concatenate(list(work.y.values()), axis=1),
            float(work.model.optimizer.learning_rate),
            threads,
            weighters.serialize(weighters.get(method)),
        )
        for label, (runner, method) in RUNNERS.items()
    }
