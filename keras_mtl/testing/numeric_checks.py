"""Checks of the numbers that come out."""

import itertools

import keras
import numpy as np

from keras_mtl.testing.compiled import compiled, eager
from keras_mtl.testing.signal_families import (
    EXTREME_FAMILIES,
    signal_sequence,
    take_tasks,
)
from keras_mtl.testing.trial import (
    RESULTS,
    ConformanceError,
    expect_same,
    fresh,
    history,
    read,
    show,
    state,
)


def check_finite(make, num_tasks):
    """Zero, parallel, huge and tiny signals give finite weights and state."""
    weighter = compiled(make, num_tasks)
    for family in EXTREME_FAMILIES:
        families = [family, "random", family]
        sequence = signal_sequence(weighter.weighter, num_tasks, families)
        for step, row in enumerate(weighter.history(sequence)):
            for name, value in row.items():
                if not np.isfinite(value).all():
                    raise ConformanceError(
                        f"expected finite numbers from signals of the family "
                        f"{family!r}; received {name} = {show(value)} after "
                        f"step {step + 1}. Guard the division, logarithm or "
                        "exponential, or scale the signals first."
                    )


def check_non_finite(make, num_tasks):
    """A NaN or infinite signal changes nothing."""
    remedy = (
        "Expected the latest weights and all state as it was. Make all state "
        "with `add_state`, and assign it in `call` or `observe` only."
    )
    _, (first, last, _), expected_rows = eager(make, num_tasks)
    weighter = fresh(make, num_tasks)
    history(weighter, [first])
    methods = [(weighter, weighter.needs)]
    if weighter.observes:
        methods.append((weighter.observe, weighter.observes))
    for method, names in methods:
        poisons = itertools.cycle((np.nan, np.inf))
        for name, poison in zip(names, poisons, strict=False):
            value = np.array(last[name])
            value[(-1,) * value.ndim] = poison
            expected = {"weights": read(weighter.task_weights)}
            expected |= state(weighter)
            weights = method(
                **{n: value if n == name else last[n] for n in names}
            )
            expect_same(
                [{"weights": weights.numpy(), **state(weighter)}],
                [expected],
                f"An entry of `{name}` was {poison}. {remedy}",
            )
    expect_same(
        history(weighter, [last]),
        expected_rows[1:2],
        f"Some steps before, signals were not finite. {remedy}",
    )


def check_permutation(make, num_tasks):
    """Tasks in another order get the same weights, in that order."""
    order = np.roll(np.arange(num_tasks), 1)
    order[[1 % num_tasks, -1]] = order[[-1, 1 % num_tasks]]
    weighter = compiled(make, num_tasks)
    sequence = signal_sequence(weighter.weighter, num_tasks)
    expected = weighter.history(sequence)
    permuted = weighter.history([take_tasks(s, order) for s in sequence])
    results = [n for n in RESULTS if n in expected[0]]
    expect_same(
        [{n: row[n] for n in results} for row in permuted],
        [{n: row[n][order] for n in results} for row in expected],
        "Treat all tasks alike, or skip 'permutation' and say why.",
        1e-4,
    )


def check_mixed_float16(make, num_tasks):
    """Under `mixed_float16` everything stays float32, also above 65504."""
    families = ["random", "large"]
    weighter = compiled(make, num_tasks)
    sequence = signal_sequence(weighter.weighter, num_tasks, families)
    expected = weighter.history(sequence)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        received = history(fresh(make, num_tasks), sequence)
    finally:
        keras.config.set_dtype_policy(policy)
    expect_same(
        received,
        expected,
        "A loss or a Gramian entry of 1e6 overflows in float16. Do not cast "
        "to the layer's compute dtype, and pass no `dtype` to the base class.",
        1e-5,
    )
