"""Step times whose ratios hold on a machine that others use too."""

import time
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


class Row(NamedTuple):
    """A compiled model and the batches it trains on.

    Args:
        name: String.
        model: Compiled Keras model.
        batches: `tf.data.Dataset` of batches without end.
        first_step_seconds: Float, from making the model to its first step.
    """

    name: str
    model: keras.Model
    batches: tf.data.Dataset
    first_step_seconds: float


class Spread(NamedTuple):
    """Median and quartiles over the repetitions."""

    median: float
    lower_quartile: float
    upper_quartile: float


class Measurement(NamedTuple):
    """What was measured of one row.

    Args:
        name: String.
        ratio: `Spread` of the step time divided by the baseline's in the same
            repetition.
        step_seconds: Float, median time of a step.
        first_step_seconds: Float, from making the model to its first step.
    """

    name: str
    ratio: Spread
    step_seconds: float
    first_step_seconds: float


def first_step(name, make) -> Row:
    """Times `make()`, which returns model and batches, and a first step."""
    start = time.perf_counter()
    model, batches = make()
    _fit(model, batches, 1)
    return Row(name, model, batches, time.perf_counter() - start)


def steps_per_block(row, seconds, clock) -> int:
    """Returns how many steps of `row` take about `seconds`."""
    _fit(row.model, row.batches, 2)
    steps = 4
    while (taken := _fit(row.model, row.batches, steps, clock)) < seconds / 4:
        steps *= 4
    return max(2, round(steps * seconds / taken))


def block_times(rows, steps, repetitions, clock, progress) -> np.ndarray:
    """Times blocks of steps, each repetition one of every row in turn.

    What slows the machine down for a while slows all rows of a repetition.

    Args:
        rows: List of `Row`.
        steps: Integer, steps in a block.
        repetitions: Integer.
        clock: Key of `CLOCKS`.
        progress: Function of a string.

    Returns:
        `(repetitions, len(rows))` seconds per step.
    """
    times = np.zeros((repetitions, len(rows)))
    for repetition in range(-1, repetitions):
        progress(f"repetition {repetition + 1} of {repetitions}")
        order = list(range(len(rows)))
        # Back and forth: no row always follows the same one.
        for index in order if repetition % 2 else reversed(order):
            row = rows[index]
            taken = _fit(row.model, row.batches, steps, clock) / steps
            if repetition >= 0:  # The one before the first only warms up.
                times[repetition, index] = taken
    return times


def measurements(rows, times, baseline=0) -> list[Measurement]:
    """Returns a `Measurement` for each row of `block_times`."""
    return [
        Measurement(
            row.name,
            spread(times[:, index] / times[:, baseline]),
            float(np.median(times[:, index])),
            row.first_step_seconds,
        )
        for index, row in enumerate(rows)
    ]


def spread(values) -> Spread:
    """Returns median and quartiles of an array."""
    quartiles = np.quantile(values, (0.5, 0.25, 0.75))
    return Spread(*map(float, quartiles))


def _fit(model, batches, steps, clock="wall"):
    read = CLOCKS[clock]
    start = read()
    # Keras warns of its own default, `shuffle=True`, with a data set.
    model.fit(batches, steps_per_epoch=steps, shuffle=False, verbose=0)
    return read() - start
