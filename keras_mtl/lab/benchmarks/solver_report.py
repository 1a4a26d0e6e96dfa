"""Times of solvers, as a table and as JSON."""

from dataclasses import dataclass
from typing import NamedTuple

from rich.table import Table

from keras_mtl.lab.benchmarks.timing import Spread


class SolverTime(NamedTuple):
    """What was measured of one solver.

    Args:
        name: String.
        method: Name of the weighter that does the same, or `None`.
        ratio: `Spread` of its time over `min_norm_point`'s in the same
            repetition.
        seconds: Float, median time for one Gramian.
        first_call_seconds: Float, from making it to its first weights.
        residual: Median and worst, or `None`; see
            `keras_mtl.lab.benchmarks.residuals`.
    """

    name: str
    method: str | None
    ratio: Spread
    seconds: float
    first_call_seconds: float
    residual: tuple[float, float] | None


@dataclass(frozen=True)
class SolverTimes:
    """Times of solvers on the same Gramians.

    Args:
        num_tasks: Integer, K.
        clock: String, `"wall"` or `"processor"` time.
        repetitions: Integer.
        rows: List of `SolverTime`, `min_norm_point`'s first.
    """

    num_tasks: int
    clock: str
    repetitions: int
    rows: list[SolverTime]

    def __getitem__(self, name):
        return next(row for row in self.rows if row.name == name)

    def as_dict(self) -> dict:
        """Returns plain dicts, lists and numbers, for JSON."""
        rows = [
            {**row._asdict(), "ratio": row.ratio._asdict()} for row in self.rows
        ]
        return {**vars(self), "rows": rows}


def solver_table(results) -> Table:
    """Returns a `rich` table: a row for each solver, columns for each K.

    Args:
        results: List of `SolverTimes`.
    """
    first = results[0]
    shown = any(row.residual is not None for row in first.rows)
    table = Table(
        title="Weights of one Gramian, time over min_norm_point's",
        caption=f"Medians of {first.repetitions} repetitions, {first.clock} "
        "time of single calls.",
    )
    table.add_column("solver", no_wrap=True)
    for result in results:
        table.add_column(f"K = {result.num_tasks}", justify="right")
        table.add_column("time", justify="right")
        if shown:
            table.add_column("residual, worst", justify="right")
    for name in dict.fromkeys(row.name for r in results for row in r.rows):
        table.add_row(
            name, *(c for r in results for c in _cells(r, name, shown))
        )
    return table


def _cells(result, name, shown):
    row = next((row for row in result.rows if row.name == name), None)
    if row is None:
        return ["-"] * (2 + shown)
    cells = [f"{row.ratio.median:.2f}", _time(row.seconds)]
    if shown:
        found = row.residual
        cells.append(f"{found[0]:.0e}, {found[1]:.0e}" if found else "-")
    return cells


def _time(seconds):
    return (
        f"{1e6 * seconds:.1f} µs"
        if seconds < 1e-3
        else f"{1e3 * seconds:.2f} ms"
    )
