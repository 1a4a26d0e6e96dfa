"""Step times of weighters on one model."""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np

from keras_mtl import weighters as catalogue
from keras_mtl.checks import above, integer, need, one_of
from keras_mtl.lab.benchmarks import timing
from keras_mtl.lab.benchmarks.communication import reduced_bytes
from keras_mtl.lab.benchmarks.memory import peak_memory
from keras_mtl.lab.benchmarks.operations import least_ratio
from keras_mtl.lab.benchmarks.report import BenchmarkResult, Measurement
from keras_mtl.lab.benchmarks.rows import (
    Blueprint,
    PlainKerasRow,
    weighter_rows,
)
from keras_mtl.model import MultiTaskModel
from keras_mtl.weighters import ALIASES, CATALOGUE
from keras_mtl.weighters.base import Weighter

UNIFORM, PLAIN_KERAS = "uniform", "plain keras"


def benchmark(
    model: MultiTaskModel,
    x: Any,
    y: Mapping[str, Any],
    sample_weight: Mapping[str, Any] | None = None,
    weighters: Iterable[Weighter | str | dict] | None = None,
    batch_size: int = 32,
    repetitions: int = 20,
    block_seconds: float = 0.25,
    plain_keras: bool = True,
    clock: str = "wall",
    memory: bool = False,
    peers: Mapping[str, Callable] | None = None,
    name: str | None = None,
    progress: Callable[[str], object] = lambda message: None,
) -> BenchmarkResult:
    """Times training steps of a model with each weighter, side by side.

    Each row is a copy of `model` that trains by `fit` on one batch, again and
    again; `model` itself is not changed. A repetition times a block of steps of
    every row in turn, and ratios to the uniform row are taken within a
    repetition. A weighter that needs query data gets the same batch as query.

    Example:

    >>> result = keras_mtl.benchmark(model, x, y, weighters=["slaw", "mgda"])
    >>> result["mgda"].ratio.median
    1.0
    >>> print(result)

    Args:
        model: Compiled `MultiTaskModel`. Its layers must be registered, as for
            saving.
        x: Inputs, arrays; the first `batch_size` rows are used.
        y: Dict from task name to labels.
        sample_weight: Dict from task name to weights.
        weighters: List of names, config dicts or `Weighter`s; the whole
            catalogue by default. A row with uniform weights is always added.
        batch_size: Integer, rows per step.
        repetitions: Integer, timed repetitions.
        block_seconds: Float, above 0. About how long the uniform row's block
            of steps lasts.
        plain_keras: Boolean. Whether to add a row for a plain Keras model with
            the same layers and fixed loss weights.
        memory: Boolean. Whether to measure each row's peak in a fresh process.
        peers: Dict from label to a function that returns an object with
            `run(steps)`: rows of the same work done elsewhere.
        clock: `"wall"`, or `"processor"`: time spent by this process on all
            its threads, for a machine that is busy with other work.
        name: String, what to call the model in the result.
        progress: Function of a string, told what is being done.

    Returns:
        `BenchmarkResult`.

    Raises:
        ValueError: If an argument is out of range or the model not compiled.
    """
    need("benchmark", ("rich",), "lab")
    integer("repetitions", repetitions, 1)
    above("block_seconds", block_seconds, 0.0)
    one_of("clock", clock, timing.CLOCKS)
    if not getattr(model, "compiled", False):
        raise ValueError(
            "benchmark() needs a compiled model. Call "
            "model.compile(optimizer, loss) first."
        )
    batch = keras.tree.map_structure(
        lambda array: np.asarray(array)[:batch_size],
        tuple(part for part in (x, y, sample_weight) if part is not None),
    )
    if weighters is None:
        weighters = [n for n in CATALOGUE if n != ALIASES[UNIFORM]]
    blueprint = Blueprint.of(model, batch)
    own = weighter_rows(blueprint, UNIFORM, weighters)
    if plain_keras:
        own[PLAIN_KERAS] = PlainKerasRow(blueprint, own[UNIFORM].method)
    makers = {**own, **(peers or {})}
    rows = []
    for label, make in makers.items():
        progress(f"{label}: first step")
        rows.append(timing.first_step(label, make))
    steps = timing.steps_per_block(rows, block_seconds, clock)
    times = timing.block_times(rows, steps, repetitions, clock, progress)
    peaks = {}
    for label, make in own.items() if memory else ():
        progress(f"{label}: memory")
        peaks[label] = peak_memory(make)
    built = rows[0].runner.model
    return BenchmarkResult(
        name=name or model.name,
        num_tasks=len(model.task_names),
        num_parameters=_num_parameters(built),
        batch_size=len(keras.tree.flatten(batch)[0]),
        jit_compile=built.jit_compile,
        clock=clock,
        repetitions=repetitions,
        rows=[
            Measurement(
                name=row.name,
                ratio=timing.spread(times[:, index] / times[:, 0]),
                step_seconds=float(np.median(times[:, index])),
                first_step_seconds=row.first_step_seconds,
                steps_per_block=steps[index],
                least_ratio=_least_ratio(built, makers[row.name], batch),
                reduced_bytes=_reduced_bytes(row.runner, batch),
                peak_memory=peaks.get(row.name),
            )
            for index, row in enumerate(rows)
        ],
        fit_over_plain_keras=timing.spread(
            times[:, 0] / times[:, list(own).index(PLAIN_KERAS)]
        )
        if plain_keras
        else None,
    )


def _least_ratio(model, make, batch):
    method = getattr(make, "method", None)
    if method is None:
        return None
    return least_ratio(model, catalogue.get(method), batch[0])


def _reduced_bytes(runner, batch):
    model = getattr(runner, "model", None)
    if not isinstance(model, MultiTaskModel):
        return None
    return reduced_bytes(model, batch[0])


def _num_parameters(model):
    layers = (model.encoder, *model.arrangement.head_layers.values())
    variables = {id(v): v for layer in layers for v in layer.variables}
    return sum(math.prod(v.shape) for v in variables.values())
