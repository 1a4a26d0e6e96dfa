"""Step times whose ratios hold on a machine that others use too."""

import time
from typing import NamedTuple, Protocol

import numpy as np

CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
# A block of a slow row lasts at most this many times the baseline's.
LONGEST_BLOCK = 8


class Runner(Protocol):
    """Anything that trains step by step."""

    def run(self, steps: int) -> None:
        """Takes `steps` training steps."""
        ...


class Row(NamedTuple):
    """What is timed under one name.

    Args:
        name: String.
        runner: `Runner`.
        first_step_seconds: Float, from making the runner to its first step.
    """

    name: str
    runner: Runner
    first_step_seconds: float


class Spread(NamedTuple):
    """Median and quartiles over the repetitions."""

    median: float
    lower_quartile: float
    upper_quartile: float


def first_step(name, make) -> Row:
    """Times `make()`, which returns a `Runner`, and a first step."""
    start = time.perf_counter()
    runner = make()
    runner.run(1)
    return Row(name, runner, time.perf_counter() - start)


def steps_per_block(rows, seconds, clock) -> list[int]:
    """Returns how many steps of each row make a block.

    The first row's block takes about `seconds`, and so many steps has every
    row's; but one that would last much longer has fewer, and at least one.
    """
    baseline, *others = rows
    _timed(baseline, 2, clock)
    steps = 4
    while (taken := _timed(baseline, steps, clock)) < seconds / 4:
        steps *= 4
    wanted = max(2, round(steps * seconds / taken))
    longest = LONGEST_BLOCK * wanted * taken / steps
    return [
        wanted,
        *(_affordable(row, wanted, longest, clock) for row in others),
    ]


def block_times(rows, steps, repetitions, clock, progress) -> np.ndarray:
    """Times blocks of steps, each repetition one of every row in turn.

    What slows the machine down for a while slows all rows of a repetition.

    Args:
        rows: List of `Row`.
        steps: List of integers, steps in a block of each row.
        repetitions: Integer.
        clock: Key of `CLOCKS`.
        progress: Function of a string.

    Returns:
        `(repetitions, len(rows))` seconds per step.
    """
    times = np.zeros((repetitions, len(rows)))
    random = np.random.default_rng(0)
    for repetition in range(-1, repetitions):
        progress(f"repetition {repetition + 1} of {repetitions}")
        # No row always follows the same one, which it might be faster after;
        # nor, as one at the end of a list back and forth, itself.
        for index in random.permutation(len(rows)):
            taken = _timed(rows[index], steps[index], clock) / steps[index]
            if repetition >= 0:  # The one before the first only warms up.
                times[repetition, index] = taken
    return times


def spread(values) -> Spread:
    """Returns median and quartiles of an array."""
    quartiles = np.quantile(values, (0.5, 0.25, 0.75))
    return Spread(*map(float, quartiles))


def _affordable(row, wanted, longest, clock):
    # Two steps: the first of a call may cost more than the others.
    taken = _timed(row, 2, clock) / 2
    return max(1, min(wanted, int(longest / taken)))


def _timed(row, steps, clock):
    read = CLOCKS[clock]
    start = read()
    row.runner.run(steps)
    return read() - start
