"""The result of a benchmark, as a table and as JSON."""

import json
import os
import platform
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, NamedTuple

import keras
import tensorflow as tf

from keras_mtl.lab.benchmarks.timing import Spread

if TYPE_CHECKING:
    from rich.table import Table

# Characters of a table, where no terminal says how many there are.
WIDTH = 132


class Measurement(NamedTuple):
    """What was measured of one row, and what is known of it beforehand.

    Args:
        name: String.
        ratio: `Spread` of the step time divided by the uniform row's in the
            same repetition.
        step_seconds: Float, median time of a step.
        first_step_seconds: Float, from making the model to its first step.
        steps_per_block: Integer, steps in one repetition.
        least_ratio: Float or `None`. The floating-point operations that the
            method needs at the least, divided by the uniform step's; see
            `keras_mtl.lab.benchmarks.operations`.
        reduced_bytes: Integer or `None`. Bytes that each of several replicas
            would add to sums over them, per step and beyond the gradient; see
            `keras_mtl.lab.benchmarks.communication`.
        peak_memory: Integer or `None`. Bytes of a fresh process that trains
            this row, Python and its libraries included.
    """

    name: str
    ratio: Spread
    step_seconds: float
    first_step_seconds: float
    steps_per_block: int
    least_ratio: float | None
    reduced_bytes: int | None
    peak_memory: int | None

    @property
    def over_least(self) -> float | None:
        """The measured ratio divided by that of the operations."""
        return self.least_ratio and self.ratio.median / self.least_ratio


@dataclass(frozen=True)
class BenchmarkResult:
    """Step times of one model.

    `result["name"]` is the row of that name; `print(result)` shows all.

    Args:
        name: String, the model or workload.
        num_tasks: Integer, K.
        num_parameters: Integer, of encoder and heads.
        batch_size: Integer, rows per step.
        jit_compile: Boolean, whether XLA compiled the steps.
        clock: String, `"wall"` or `"processor"` time.
        repetitions: Integer, timed repetitions.
        rows: List of `Measurement`, the first with uniform weights.
        fit_over_plain_keras: `Spread` of the uniform row's time divided by
            plain Keras', or `None`.
    """

    name: str
    num_tasks: int
    num_parameters: int
    batch_size: int
    jit_compile: bool
    clock: str
    repetitions: int
    rows: list[Measurement]
    fit_over_plain_keras: Spread | None

    def __getitem__(self, name):
        return next(row for row in self.rows if row.name == name)

    def __str__(self):
        from rich.console import Console

        console = Console(width=WIDTH, color_system=None)
        with console.capture() as capture:
            console.print(self.table())
        return capture.get()

    def table(self) -> "Table":
        """Returns the rows as a `rich` table."""
        from rich.table import Table

        table = Table(
            title=f"{self.name}: {self.num_tasks} tasks, "
            f"{self.num_parameters:,} parameters, batch {self.batch_size}",
            caption=self._caption(),
        )
        columns = {
            name: cells
            for name, cells in self._columns().items()
            if any(cell is not None for cell in cells)
        }
        for name in columns:
            table.add_column(name, justify="right")
        table.columns[0].justify, table.columns[0].no_wrap = "left", True
        for cells in zip(*columns.values(), strict=True):
            table.add_row(*("-" if cell is None else cell for cell in cells))
        return table

    def _caption(self):
        steps = [row.steps_per_block for row in self.rows]
        caption = (
            f"One uniform step: {1e3 * self.rows[0].step_seconds:.2f} ms. "
            f"Medians and quartiles of {self.repetitions} repetitions of "
            f"{steps[0]} steps"
        )
        if min(steps) < steps[0]:
            caption += f", of slow rows fewer, at least {min(steps)}"
        caption += "."
        if self.fit_over_plain_keras:
            low, high = self.fit_over_plain_keras[1:]
            caption += (
                " Uniform over plain Keras: "
                f"{self.fit_over_plain_keras.median:.3f} "
                f"({low:.3f} to {high:.3f})."
            )
        return caption

    def _columns(self):
        """Returns the cells of each column, by title; `None` where empty."""
        uniform, rows = self.rows[0], self.rows
        return {
            "weighter": [row.name for row in rows],
            "step / uniform": [f"{row.ratio.median:.3f}" for row in rows],
            "quartiles": [
                f"{row.ratio.lower_quartile:.3f}-{row.ratio.upper_quartile:.3f}"
                for row in rows
            ],
            "least operations": [
                _plain(row.least_ratio, ".3f") for row in rows
            ],
            "step / least": [_plain(row.over_least, ".2f") for row in rows],
            "step": [f"{1e3 * row.step_seconds:.2f} ms" for row in rows],
            "first step": [f"{row.first_step_seconds:.1f} s" for row in rows],
            "reduced": [_bytes(row.reduced_bytes) for row in rows],
            "peak memory": [_bytes(row.peak_memory) for row in rows],
            "above uniform": [
                row.peak_memory
                and _bytes(row.peak_memory - (uniform.peak_memory or 0))
                for row in rows
            ],
        }

    def as_dict(self) -> dict:
        """Returns plain dicts, lists and numbers, for JSON."""
        spread = self.fit_over_plain_keras
        return {
            **asdict(self),
            "rows": [
                {
                    **row._asdict(),
                    "ratio": row.ratio._asdict(),
                    "over_least": row.over_least,
                }
                for row in self.rows
            ],
            "fit_over_plain_keras": spread and spread._asdict(),
        }


def write_json(path, results):
    """Writes results and the versions they were measured with."""
    document = {
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
        "platform": {"system": sys.platform, "cores": os.cpu_count()},
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
        "results": [result.as_dict() for result in results],
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=2)
        file.write("\n")


def _plain(number, form):
    return None if number is None else format(number, form)


def _bytes(number):
    if number is None:
        return None
    for unit, size in (("B", 1), ("kB", 1e3)):
        if abs(number) < 1000 * size:
            return f"{number / size:.0f} {unit}"
    return f"{number / 1e6:,.0f} MB"
