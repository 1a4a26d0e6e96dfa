"""How far training and query losses are from the test loss."""

from typing import NamedTuple

import numpy as np

from keras_mtl.lab.comparisons.report.statistics import (
    Interval,
    query_bound,
    t_interval,
)

SETS = ("training", "query", "test")
MOST_EPOCHS = 3


class MeanLosses(NamedTuple):
    """Losses of one method, means over its seeds.

    Args:
        method: String.
        seeds: Integer, how many runs.
        epochs: List of integers, E of them.
        by_seed: Dict from `"training"`, `"query"` and `"test"` to an
            `(seeds, E, K)` array.
        bounds: `(K,)` array, how far query and test loss may be apart by
            Theorem 3; `None` for a loss without an upper limit.
    """

    method: str
    seeds: int
    epochs: list[int]
    by_seed: dict[str, np.ndarray]
    bounds: np.ndarray | None

    @property
    def means(self) -> dict[str, np.ndarray]:
        """The means over seeds, `(E, K)`."""
        return {name: rows.mean(axis=0) for name, rows in self.by_seed.items()}


class Gap(NamedTuple):
    """How well two losses stand for the test loss, at one epoch.

    Args:
        method: String.
        epoch: Integer.
        training: Float, mean `|training - test|` over tasks and seeds.
        query: Float, mean `|query - test|`.
        nearer: `Interval` over seeds of the one minus the other, positive where
            the query loss is nearer to the test loss.
        within: Float, share of tasks and seeds whose `|query - test|` is within
            the bound; `None` where the bound does not apply.
    """

    method: str
    epoch: int
    training: float
    query: float
    nearer: Interval
    within: float | None


def mean_losses(comparison, measure) -> MeanLosses | None:
    """Returns the losses of the first method that has a query set.

    Args:
        comparison: `Comparison`.
        measure: `"error"` or `"loss"`.

    Returns:
        `MeanLosses`, or `None` where none were measured.
    """
    for method in comparison.methods:
        runs = []
        for cell in comparison.of_method(method).values():
            by_set = _arrays(cell.losses, measure, comparison.tasks)
            if by_set is not None:
                runs.append((cell.losses, by_set))
        if not runs:
            continue
        first = runs[0][0]
        epochs = first["epochs"]
        alike = [run for losses, run in runs if losses["epochs"] == epochs]
        return MeanLosses(
            method=method,
            seeds=len(alike),
            epochs=list(epochs),
            by_seed={n: np.stack([run[n] for run in alike]) for n in SETS},
            bounds=_bounds(first, measure, comparison.tasks),
        )
    return None


def gaps(comparison, measure) -> list[Gap]:
    """Returns the gaps at every epoch that was looked at.

    Args:
        comparison: `Comparison`.
        measure: `"error"` or `"loss"`.
    """
    found = mean_losses(comparison, measure)
    if found is None:
        return []
    test = found.by_seed["test"]
    training = np.abs(found.by_seed["training"] - test)
    query = np.abs(found.by_seed["query"] - test)
    within = None
    if found.bounds is not None:
        within = (query <= found.bounds).mean(axis=(0, 2))
    return [
        Gap(
            method=found.method,
            epoch=epoch,
            training=float(training[:, row].mean()),
            query=float(query[:, row].mean()),
            nearer=t_interval((training - query)[:, row].mean(axis=1)),
            within=None if within is None else float(within[row]),
        )
        for row, epoch in enumerate(found.epochs)
    ]


def chosen_epochs(epochs) -> list[int]:
    """Returns the places of a few epochs: the first, the last, between."""
    places = np.linspace(0, len(epochs) - 1, min(MOST_EPOCHS, len(epochs)))
    return [round(float(place)) for place in places]


def _bounds(losses, measure, tasks):
    counts = losses["num_query"]
    if measure != "error" or not all(counts.get(task) for task in tasks):
        return None
    return np.array([query_bound(counts[task]) for task in tasks])


def _arrays(losses, measure, tasks):
    """Returns `(E, K)` arrays by set, or `None` where one is missing."""
    try:
        by_set = {
            name: np.array([losses[name][measure][t] for t in tasks], "float64")
            for name in SETS
        }
        expected = (len(tasks), len(losses["epochs"]))
    except (KeyError, TypeError, ValueError):
        return None
    if any(rows.shape != expected for rows in by_set.values()):
        return None
    if not all(np.isfinite(rows).all() for rows in by_set.values()):
        return None
    return {name: rows.T for name, rows in by_set.items()}
