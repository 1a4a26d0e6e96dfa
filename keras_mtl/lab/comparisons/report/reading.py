"""Reads the folder of a comparison, whatever state its runs are in."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from keras_mtl.checks import did_you_mean
from keras_mtl.lab.comparisons.folder import CELLS, COMPARE, PICTURES
from keras_mtl.lab.comparisons.methods import BASELINE
from keras_mtl.lab.comparisons.report import checking
from keras_mtl.lab.comparisons.report.cells import (
    Result,
    judged_tasks,
    read_cell,
)
from keras_mtl.lab.experiments.parts import Score
from keras_mtl.lab.runs.json_files import read_object

PNG = b"\x89PNG\r\n\x1a\n"
# Bytes; the page holds a copy.
LARGEST_PICTURE = 2_000_000


class Trouble(NamedTuple):
    """A run that the report has no results of.

    Args:
        name: String, method, sweep and seed.
        kind: `"failed"`, `"unfinished"` or `"unreadable"`.
        reason: String.
    """

    name: str
    kind: str
    reason: str

    @property
    def method(self) -> str:
        """The method alone."""
        return self.name.partition(", seed ")[0].partition("@")[0]


@dataclass(frozen=True, repr=False)
class Comparison:
    """The finished cells of a comparison, and what is missing.

    Printed, it shows the methods' mean scores over seeds.

    Example:

    >>> comparison = read_comparison("runs/prices")
    >>> comparison.of_method("slaw")[0].scores  # of seed 0
    {'price': {'mae': 0.81}, 'sold': {'accuracy': 0.6}}
    >>> comparison.scores("slaw", task="price")  # of all seeds
    {0: 0.81, 1: 0.79}

    Args:
        experiment: String.
        score: `Score`.
        baseline: String, the method that others are compared with.
        higher_is_better: Dict from metric to boolean; of one that is missing,
            the score's own.
        methods: Tuple of strings.
        tasks: Tuple of K strings.
        seeds: Tuple of integers, those that were asked for.
        sweeps: Dict from the name of a parameter to its values.
        settings: Dict.
        plain_values: Dict from method to the values that swept parameters have
            outside the sweeps.
        cells: Tuple of finished `Result`.
        troubles: Tuple of `Trouble`.
        pictures: Dict from method to the bytes of a PNG file, what the first
            of its seeds drew.
    """

    experiment: str
    score: Score
    baseline: str
    higher_is_better: dict[str, bool]
    methods: tuple[str, ...]
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    sweeps: dict[str, list]
    settings: dict[str, Any]
    plain_values: dict[str, dict[str, float]]
    cells: tuple[Result, ...]
    troubles: tuple[Trouble, ...]
    pictures: dict[str, bytes]

    @property
    def digits(self) -> int:
        """Decimals of scores; shares as they are, such as AUC, need more."""
        largest = max((abs(self.scaled(c)) for c in self.cells), default=100.0)
        return 5 if largest <= 1.0 else 2

    def __repr__(self):
        """Returns a line for each method, and one for each run without one."""
        lines = [f"Comparison by {self.score.label}, means over seeds:"]
        for method in self.methods:
            scores = [*self.scores(method).values()]
            mean = (
                f"{sum(scores) / len(scores):.{self.digits}f}"
                if scores
                else "-"
            )
            runs = "seed" if len(scores) == 1 else "seeds"
            lines.append(f"{method}: {mean} ({len(scores)} {runs})")
        lines += [f"{t.name} ({t.kind}): {t.reason}" for t in self.troubles]
        return "\n".join(lines)

    def of_method(self, method) -> dict[int, Result]:
        """Returns the finished cells outside sweeps, by seed."""
        return {
            cell.seed: cell
            for cell in self.cells
            if cell.method == method and not cell.sweep
        }

    def scores(self, method, task=None) -> dict[int, float]:
        """Returns scores in the score's unit, by seed.

        Args:
            method: String.
            task: String, or `None` for the average over the tasks.
        """
        return {
            seed: self.scaled(cell, task)
            for seed, cell in self.of_method(method).items()
        }

    def only(self, methods) -> "Comparison":
        """Returns the comparison of some methods, and of the baseline.

        Args:
            methods: Iterable of strings.

        Raises:
            ValueError: If a method was not compared.
        """
        methods = [*methods]
        for method in methods:
            if method not in self.methods:
                raise ValueError(
                    f"The method {method!r} was not compared."
                    f"{did_you_mean(method, self.methods)} Expected some of "
                    f"{list(self.methods)}."
                )
        kept = tuple(
            m for m in self.methods if m in methods or m == self.baseline
        )
        return replace(
            self,
            methods=kept,
            cells=tuple(c for c in self.cells if c.method in kept),
            troubles=tuple(t for t in self.troubles if t.method in kept),
            pictures={m: p for m, p in self.pictures.items() if m in kept},
        )

    @property
    def reference(self) -> str:
        """The baseline in words."""
        return "uniform weights" if self.baseline == BASELINE else self.baseline

    @property
    def commands(self) -> list[str]:
        """The commands that ran the cells."""
        typed = [cell.facts["command"] for cell in self.cells]
        return [*dict.fromkeys(str(command) for command in typed if command)]

    def scaled(self, cell, task=None) -> float:
        """Returns the score of a cell in the score's unit."""
        score = cell.average if task is None else cell.by_task[task]
        return self.score.factor * score


def read_comparison(folder) -> Comparison:
    """Reads a folder that `keras-mtl compare` writes to.

    Args:
        folder: Path.

    Returns:
        A `Comparison`; of runs without results, it says which and why.

    Raises:
        ValueError: If the folder holds no comparison.
    """
    folder = Path(folder)
    given = _read_declaration(folder / COMPARE)
    try:
        score = _score(given["score"])
        sweeps = {
            parameter: [checking.finite(value) for value in values]
            for parameter, values in (given.get("sweeps") or {}).items()
        }
        plain = {
            method: {
                parameter: checking.finite(value)
                for parameter, value in values.items()
                if value is not None
            }
            for method, values in (given.get("plain_values") or {}).items()
        }
        methods = checking.texts(given["methods"])
        seeds = range(checking.count(given["seeds"]))
        experiment = checking.text(given["experiment"])
        baseline = checking.text(given.get("baseline", BASELINE))
        better = checking.mapping(given.get("higher_is_better") or {})
        expected = checking.texts(given.get("cells") or [])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"The file '{folder / COMPARE}' does not describe a comparison: "
            f"{type(error).__name__}: {error}. Write it anew by 'keras-mtl "
            "compare'."
        ) from error
    paths = sorted((folder / CELLS).glob("*/seed_*.json"), key=_order)
    outside = [path for path in paths if "@" not in path.parent.name]
    tasks = judged_tasks(outside or paths, score.key)
    cells, troubles, seen = [], [], set()
    for path in paths:
        seen.add(f"{path.parent.name}/{path.stem}")
        name = _title(f"{path.parent.name}/{path.stem}")
        try:
            cell = read_cell(path, score.key, tasks)
        except ValueError as error:
            troubles.append(Trouble(name, "unreadable", str(error)))
            continue
        if isinstance(cell, Result):
            cells.append(cell)
        else:
            troubles.append(Trouble(name, "failed", cell))
    found = [cell.method for cell in cells if not cell.sweep]
    methods = tuple(dict.fromkeys([*methods, *found]))
    troubles += [
        Trouble(_title(name), "unfinished", "it may be going on")
        for name in expected
        if name not in seen
    ]
    return Comparison(
        experiment=experiment,
        score=score,
        baseline=baseline,
        higher_is_better={name: bool(value) for name, value in better.items()},
        methods=methods,
        tasks=tuple(tasks),
        seeds=tuple(seeds),
        sweeps=sweeps,
        settings=given.get("settings") or {},
        plain_values=plain,
        cells=tuple(cells),
        troubles=tuple(troubles),
        pictures=_pictures(folder, cells),
    )


def _pictures(folder, cells):
    found = {}
    for cell in sorted(cells, key=lambda cell: cell.seed):
        path = folder / PICTURES / cell.method / f"seed_{cell.seed}.png"
        if cell.method in found or cell.sweep or not path.is_file():
            continue
        content = path.read_bytes()
        if content.startswith(PNG) and len(content) <= LARGEST_PICTURE:
            found[cell.method] = content
    return found


def _read_declaration(path):
    try:
        return read_object(path, "Write it anew by 'keras-mtl compare'.")
    except FileNotFoundError as error:
        raise ValueError(
            f"The folder '{path.parent}' holds no comparison: it has no "
            f"{path.name}. Pass the folder that 'keras-mtl compare' wrote to."
        ) from error


def _score(given):
    texts = (checking.text(given[name]) for name in ("key", "label", "unit"))
    factor = checking.finite(given["factor"])
    return Score(*texts, factor, bool(given["higher_is_better"]))


def _title(name):
    return name.replace("/seed_", ", seed ")


def _order(path):
    number = path.stem.removeprefix("seed_")
    return path.parent.name, float(number) if number.isdecimal() else math.inf
