"""Checks of what a weighter takes and returns."""

import inspect

import tensorflow as tf

from keras_mtl.signals import known_signals
from keras_mtl.testing.compiled import eager
from keras_mtl.testing.signal_families import signal_sequence
from keras_mtl.testing.trial import (
    ConformanceError,
    advance,
    expect_same,
    fresh,
    history,
    show,
    state,
)
from keras_mtl.weighters.base import Weighter


def check_declaration(make, num_tasks):
    """A factory makes new weighters, which ask for signals that exist."""
    weighter = make()
    if not isinstance(weighter, Weighter):
        raise ConformanceError(
            f"expected a `Weighter`; received {weighter!r}. Pass a subclass, "
            "or a function without arguments that returns an instance."
        )
    if make() is weighter or weighter.built:
        raise ConformanceError(
            "expected a new weighter without state from each call; received "
            "one that is in use. Pass the class, or a function that makes it."
        )
    if not weighter.needs:
        raise ConformanceError(
            "`call` declares no signal. Give it at least `losses`: Keras "
            "cannot build a layer that is called with nothing."
        )
    for method in ("call", "observe"):
        asked = weighter.needs if method == "call" else weighter.observes
        known = known_signals(method)
        unknown = set(asked) - set(known)
        if unknown:
            raise ConformanceError(
                f"`{method}` asks for {sorted(unknown)}; expected some of "
                f"{sorted(known)}. See keras_mtl.signals."
            )


def check_results(make, num_tasks):
    """Results are `(K,)` float32, and the latest is in `task_weights`."""
    weighter = fresh(make, num_tasks)
    for signals in signal_sequence(weighter, num_tasks, ["random"]):
        # What the method itself returns: the base class casts to float32.
        raw = {"call": weighter.call(**{n: signals[n] for n in weighter.needs})}
        if weighter.observes:
            observe = type(weighter).observe.__wrapped__
            observed = {n: signals[n] for n in weighter.observes}
            raw["observe"] = observe(weighter, **observed)
        for method, result in raw.items():
            # Two vectors: of shared gradients, and of the heads'.
            vectors = result[:2] if isinstance(result, tuple) else [result]
            vectors = [v for v in vectors if v is not None]
            for value in map(tf.convert_to_tensor, vectors):
                if value.dtype != tf.float32 or value.shape != (num_tasks,):
                    raise ConformanceError(
                        f"expected ({num_tasks},) float32 weights from "
                        f"`{method}`; received {show(value)}. Return one "
                        "float32 weight for each task, or a tuple of two such "
                        "vectors."
                    )
        results = advance(weighter, signals)
        latest = results.get("observe", results["call"])
        variable = tf.convert_to_tensor(weighter.task_weights)
        if latest.shape != variable.shape or tf.reduce_any(latest != variable):
            raise ConformanceError(
                f"expected the returned weights {show(latest)} in "
                f"`task_weights`; received {show(variable)}. Leave "
                "`task_weights` to the base class."
            )


def check_arrays(make, num_tasks):
    """Lists and NumPy arrays do as well as tensors, without `bind`."""
    remedy = (
        "Read the number of tasks from a signal's shape, and the state from "
        "`build`'s arguments."
    )
    bound, sequence, expected = eager(make, num_tasks)
    arrays, lists = (
        [{n: convert(v) for n, v in signals.items()} for signals in sequence]
        for convert in (lambda v: v.numpy(), lambda v: v.numpy().tolist())
    )
    received = history(fresh(make, None), arrays[:2])
    expect_same(received, expected[:2], remedy)
    called = fresh(make, None)(**{n: lists[0][n] for n in bound.needs})
    expect_same(
        [{"call": called.numpy()}], [{"call": expected[0]["call"]}], remedy
    )
    if bound.observes:
        observed = {n: lists[0][n] for n in bound.observes}
        expect_same(
            [{"observe": fresh(make, None).observe(**observed).numpy()}],
            [{"observe": fresh(make, num_tasks).observe(**observed).numpy()}],
            remedy,
        )


def check_present_optional(make, num_tasks):
    """Leaving out `present` means that every task is present."""
    known, sequence, _ = eager(make, num_tasks)
    if "present" not in known.needs:
        return
    given = inspect.signature(known.call).parameters.get("present")
    if given is not None and given.default is inspect.Parameter.empty:
        raise ConformanceError(
            "`call` takes `present` without a default; expected "
            "`present=None`. Take `None` for all ones, so that the weighter "
            "can be called on plain arrays."
        )
    weighter, other = fresh(make, num_tasks), fresh(make, num_tasks)
    for signals in sequence[:2]:
        rest = {n: signals[n] for n in weighter.needs if n != "present"}
        expected = weighter(**rest, present=signals["present"])
        received = other(**rest)
        expect_same(
            [{"call": received.numpy(), **state(other)}],
            [{"call": expected.numpy(), **state(weighter)}],
            "Give `present` the default `None`, and take it for all ones.",
            1e-6,
        )
