"""Wrappers around wrappers, against the same composed in NumPy.

Each restatement is a generator of steps: it takes losses, a Gramian, which
tasks are present and the epoch, and gives the weights of shared gradients and
of heads.
"""

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import weighters
from keras_mtl.weighters import (
    Clipped,
    Every,
    Fixed,
    OfLogLosses,
    Scheduled,
    Smoothed,
)
from tests.weighters.formulas import shortest

K, STEPS = 3, 12
NONE = np.full(K, np.nan)


def log_losses():
    kept = np.ones(K)

    def step(losses, gramian, seen, epoch):
        kept[seen] = 1 / (losses[seen] + 1e-8)
        return kept.copy(), kept.copy()

    return step


def mgda():
    def step(losses, gramian, seen, epoch):
        weights = np.zeros(K)
        weights[seen] = shortest(gramian[np.ix_(seen, seen)])
        return weights, np.ones(K)

    return step


def of_logs(inner):
    def step(losses, gramian, seen, epoch):
        inverse = 1 / (losses + 1e-8)
        scaled = gramian * inverse[:, None] * inverse
        weights, _ = inner(losses, scaled, seen, epoch)
        return weights * inverse, np.where(seen, inverse, 1.0)

    return step


def smoothed(inner, momentum, heads=True):
    average = NONE.copy()

    def step(losses, gramian, seen, epoch):
        weights, own = inner(losses, gramian, seen, epoch)
        past = np.where(np.isnan(average), weights, average)
        moved = momentum * past + (1 - momentum) * weights
        average[seen] = moved[seen]
        return average.copy(), own if heads else average.copy()

    return step


def every(inner, steps):
    count, held = [0], [np.ones(K), np.ones(K)]

    def step(losses, gramian, seen, epoch):
        if count[0] % steps == 0:
            found = inner(losses, gramian, seen, epoch)
            held[:] = [
                np.where(seen, new, old)
                for new, old in zip(found, held, strict=True)
            ]
        count[0] += 1
        return tuple(held)

    return step


def scheduled(inner, start, ramp):
    def step(losses, gramian, seen, epoch):
        share = np.clip((epoch - start) / ramp, 0.0, 1.0)
        return tuple(
            v[seen].mean() + share * (v - v[seen].mean())
            for v in inner(losses, gramian, seen, epoch)
        )

    return step


def changed(inner, change, heads=False):
    def step(*signals):
        weights, own = inner(*signals)
        return change(weights), change(own) if heads else own

    return step


def limits(weights):
    return np.clip(weights, 0.1, 0.6)


def of_second(weights):
    return np.where([False, True, False], 0.3, weights)


CASES = {
    "every smoothed": (
        lambda: Every(Smoothed("log_losses", 0.5), 2),
        lambda: every(smoothed(log_losses(), 0.5, heads=False), 2),
    ),
    "every of logs of smoothed": (
        lambda: Every(OfLogLosses(Smoothed("mgda", 0.5)), 3),
        lambda: every(of_logs(smoothed(mgda(), 0.5)), 3),
    ),
    "smoothed of logs": (
        lambda: Smoothed(OfLogLosses("mgda"), 0.5),
        lambda: smoothed(of_logs(mgda()), 0.5),
    ),
    "of logs of clipped": (
        lambda: OfLogLosses(Clipped("mgda", 0.1, 0.6)),
        lambda: of_logs(changed(mgda(), limits)),
    ),
    "of logs of fixed": (
        lambda: OfLogLosses(Fixed("mgda", {"b": 0.3})),
        lambda: of_logs(changed(mgda(), of_second)),
    ),
    "scheduled every": (
        lambda: Scheduled(Every("mgda", 3), 1, 2),
        lambda: scheduled(every(mgda(), 3), 1, 2),
    ),
    "every scheduled": (
        lambda: Every(Scheduled("mgda", 1, 2), 3),
        lambda: every(scheduled(mgda(), 1, 2), 3),
    ),
    "clipped scheduled fixed": (
        lambda: Clipped(
            Scheduled(Fixed("log_losses", [None, 0.3, None]), 1, 2), 0.1, 0.6
        ),
        lambda: changed(
            scheduled(changed(log_losses(), of_second, True), 1, 2),
            limits,
            True,
        ),
    ),
    "smoothed smoothed": (
        lambda: Smoothed(Smoothed("log_losses", 0.5, name="a"), name="a"),
        lambda: smoothed(
            smoothed(log_losses(), 0.5, heads=False), 0.9, heads=False
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_they_are_what_they_are_made_of(name):
    make, restate = CASES[name]
    weighter, expected = make(), restate()
    config = json.loads(json.dumps(weighters.serialize(weighter)))
    assert weighters.deserialize(config).get_config() == weighter.get_config()
    weighter.bind(K, ("a", "b", "c"))
    weigh = tf.function(lambda **s: weighter.weigh(**s), autograph=False)
    random = np.random.default_rng(5)
    for step in range(STEPS):
        seen = np.arange(K) != random.integers(2 * K)  # One in two steps.
        rows = random.normal(size=(K, 5)) * seen[:, None]
        losses = np.exp(random.normal(size=K)) * seen
        signals = {
            "losses": np.float32(losses),
            "gramian": np.float32(rows @ rows.T),
            "present": np.float32(seen),
            "epoch": np.float32(step // 3),
        }
        found = weigh(**{n: signals[n] for n in weighter.needs})
        wanted, heads = expected(
            np.float64(signals["losses"]),
            np.float64(signals["gramian"]),
            seen,
            step // 3,
        )
        received = [found.shared, found.heads]
        if found.heads is None:
            received[1] = found.shared
        for mine, other in zip(received, (wanted, heads), strict=True):
            np.testing.assert_allclose(
                mine[seen], other[seen], rtol=1e-5, atol=1e-6
            )
