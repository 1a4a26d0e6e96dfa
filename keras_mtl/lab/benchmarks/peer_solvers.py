# pyright: reportMissingImports=false
"""TorchJD's way from a Gramian to weights, to hold our solvers against."""

import functools

import numpy as np
from torchjd import aggregation

from keras_mtl.lab.benchmarks.pytorch import torch
from keras_mtl.lab.benchmarks.solvers import SolverRunner

# Each with the weighter that does the same, at our defaults.
WEIGHTINGS = {
    "PCGrad": ("pcgrad", aggregation.PCGradWeighting),
    "MGDA": ("mgda", aggregation.MGDAWeighting),
    "UPGrad": ("upgrad", aggregation.UPGradWeighting),
    "DualProj": ("dual_proj", aggregation.DualProjWeighting),
    "CAGrad": ("cagrad", lambda: aggregation.CAGradWeighting(c=0.4)),
    "FairGrad": ("fairgrad", lambda: aggregation.FairGradWeighting(alpha=1.0)),
    "AlignedMTL": ("aligned_mtl", aggregation.AlignedMTLWeighting),
    "IMTLG": ("imtl_g", aggregation.IMTLGWeighting),
    "GradVac": ("gradvac", aggregation.GradVacWeighting),
    "PCD": ("pcd", aggregation.PCDWeighting),
}


def _from_gramian(make, gradients):
    weighting = make()
    gramians = [torch.tensor(g @ g.T).float() for g in gradients]
    return SolverRunner(weighting, gramians)


def _nash(gradients):
    aggregator = aggregation.NashMTL(n_tasks=len(gradients[0]))

    def solve(matrix):
        aggregator.reset()
        return aggregator.weighting(matrix)

    return SolverRunner(solve, _matrices(gradients))


def _config(gradients):
    return SolverRunner(
        aggregation.ConFIG(),
        _matrices(gradients),
        # It returns the update.
        lambda update, matrix: np.linalg.lstsq(
            np.float64(matrix).T, np.float64(update), rcond=None
        )[0],
    )


def _matrices(gradients):
    return [torch.tensor(g).float() for g in gradients]


def solver_peers(threads):
    """Returns TorchJD's solvers, as `time_solvers` takes them.

    Args:
        threads: Integer; 0 for as many as PyTorch likes.
    """
    if threads:
        torch.set_num_threads(threads)
    found = {
        f"torchjd {label}": (name, functools.partial(_from_gramian, make))
        for label, (name, make) in WEIGHTINGS.items()
    }
    found["torchjd NashMTL"] = ("nash_mtl", _nash)
    found["torchjd ConFIG"] = ("config", _config)
    return found
