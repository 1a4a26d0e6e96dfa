"""The result of a benchmark, as a table and as JSON."""

import json
import os
import platform
import sys
from dataclasses import asdict, dataclass

import keras
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from keras_mtl.benchmarks.timing import Measurement, Spread


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
        steps_per_block: Integer, steps of a row in one repetition.
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
    steps_per_block: int
    rows: list[Measurement]
    fit_over_plain_keras: Spread | None

    def __getitem__(self, name):
        return next(row for row in self.rows if row.name == name)

    def __str__(self):
        console = Console(width=80, color_system=None)
        with console.capture() as capture:
            console.print(self.table())
        return capture.get()

    def table(self) -> Table:
        """Returns the rows as a `rich` table."""
        uniform = self.rows[0].step_seconds
        caption = (
            f"One uniform step: {1e3 * uniform:.2f} ms. Medians and quartiles "
            f"of {self.repetitions} repetitions of {self.steps_per_block} "
            "steps."
        )
        if self.fit_over_plain_keras:
            caption += (
                " Uniform over plain Keras: "
                f"{_quartiles(self.fit_over_plain_keras)}."
            )
        table = Table(
            title=f"{self.name}: {self.num_tasks} tasks, "
            f"{self.num_parameters:,} parameters, batch {self.batch_size}",
            caption=caption,
        )
        table.add_column("weighter")
        for column in ("step / uniform", "quartiles", "step", "first step"):
            table.add_column(column, justify="right")
        for row in self.rows:
            low, high = row.ratio.lower_quartile, row.ratio.upper_quartile
            table.add_row(
                row.name,
                f"{row.ratio.median:.3f}",
                f"{low:.3f} to {high:.3f}",
                f"{1e3 * row.step_seconds:.2f} ms",
                f"{row.first_step_seconds:.1f} s",
            )
        return table

    def as_dict(self) -> dict:
        """Returns plain dicts, lists and numbers, for JSON."""
        spread = self.fit_over_plain_keras
        return {
            **asdict(self),
            "rows": [
                {**row._asdict(), "ratio": row.ratio._asdict()}
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


def _quartiles(spread):
    low, high = spread.lower_quartile, spread.upper_quartile
    return f"{spread.median:.3f} ({low:.3f} to {high:.3f})"
