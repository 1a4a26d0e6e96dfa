"""Step times of weighters on one model."""

import functools
import math

import keras
import numpy as np
import tensorflow as tf

from keras_mtl import weighters as catalogue
from keras_mtl.benchmarks import timing
from keras_mtl.benchmarks.plain_keras import as_plain_keras
from keras_mtl.benchmarks.report import BenchmarkResult
from keras_mtl.checks import above, integer, one_of
from keras_mtl.data.feeding import needs_query
from keras_mtl.data.support_query import SupportQuery
from keras_mtl.weighters import ALIASES, CATALOGUE

UNIFORM, PLAIN_KERAS = "uniform", "plain keras"


def benchmark(
    model,
    x,
    y,
    sample_weight=None,
    weighters=None,
    batch_size=32,
    repetitions=20,
    block_seconds=0.25,
    plain_keras=True,
    clock="wall",
    name=None,
    progress=lambda message: None,
) -> BenchmarkResult:
    """Times training steps of a model with each weighter, side by side.

    Each row is a copy of `model` that trains by `fit` on one batch, again and
    again; `model` itself is not changed. A repetition times a block of steps of
    every row in turn, and ratios to the uniform row are taken within a
    repetition. A weighter that needs query data gets the same batch as query.

    Example:

    >>> result = keras_mtl.benchmark(model, x, y, weighters=["slaw", "mgda"])
    >>> result["mgda"].ratio.median
    1.9
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
        clock: `"wall"`, or `"processor"`: time spent by this process on all
            its threads, for a machine that is busy with other work.
        name: String, what to call the model in the result.
        progress: Function of a string, told what is being done.

    Returns:
        `BenchmarkResult`.

    Raises:
        ValueError: If an argument is out of range or the model not compiled.
    """
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
    makers = _makers(model, batch, weighters)
    uniform = catalogue.serialize(catalogue.get(UNIFORM))
    if plain_keras:
        makers[PLAIN_KERAS] = lambda: (
            as_plain_keras(_copy(model, uniform), batch[0]),
            _endless(batch),
        )
    rows = []
    for label, make in makers.items():
        progress(f"{label}: first step")
        rows.append(timing.first_step(label, make))
    steps = timing.steps_per_block(rows[0], block_seconds, clock)
    times = timing.block_times(rows, steps, repetitions, clock, progress)
    return BenchmarkResult(
        name=name or model.name,
        num_tasks=len(model.task_names),
        num_parameters=_num_parameters(rows[0].model),
        batch_size=len(keras.tree.flatten(batch)[0]),
        jit_compile=rows[0].model.jit_compile,
        clock=clock,
        repetitions=repetitions,
        steps_per_block=steps,
        rows=timing.measurements(rows, times),
        fit_over_plain_keras=timing.spread(times[:, 0] / times[:, -1])
        if plain_keras
        else None,
    )


def _makers(model, batch, weighters):
    """Returns functions that make model and batches, by label."""
    if weighters is None:
        weighters = [n for n in CATALOGUE if n != ALIASES[UNIFORM]]
    makers = {}
    for weighter in (UNIFORM, *weighters):
        label = weighter
        if not isinstance(weighter, str):
            name = type(catalogue.get(weighter)).__name__
            same = sum(known.startswith(name) for known in makers)
            label = f"{name} {same + 1}" if same else name
        config = catalogue.serialize(catalogue.get(weighter))
        makers[label] = functools.partial(_with_weighter, model, batch, config)
    return makers


def _with_weighter(model, batch, config):
    copy = _copy(model, config)
    data = SupportQuery(batch, batch) if needs_query(copy) else batch
    return copy, _endless(data)


def _copy(model, weighter):
    """Returns a copy of `model`, compiled with a weighter of its own."""
    copy = type(model).from_config(model.get_config())
    config = {**model.get_compile_config(), "weighter": weighter}
    copy.compile_from_config(config)
    return copy


def _num_parameters(model):
    layers = (model.encoder, *model.arrangement.head_layers.values())
    variables = {id(v): v for layer in layers for v in layer.variables}
    return sum(math.prod(v.shape) for v in variables.values())


def _endless(batch):
    return tf.data.Dataset.from_tensors(batch).repeat()
