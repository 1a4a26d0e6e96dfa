"""Weights that hold between the steps that measure."""

import contextlib
import functools

import numpy as np
import pytest

from keras_mtl.gradients import TaskGradients
from keras_mtl.weighters import (
    IMTLL,
    MGDA,
    SLAW,
    Every,
    MetaWeighting,
    NashMTL,
    OfLogLosses,
    PCGrad,
    Smoothed,
    Wrapper,
)
from tests.training import new_model, read, step

STEPS = 7


def test_plain_calls_between_are_ignored():
    every, alone = Every(SLAW(), steps=3), SLAW()
    losses = np.random.default_rng(0).uniform(0.5, 2.0, (10, 4))
    for number, row in enumerate(losses):
        if number % 3 == 0:
            expected = alone(losses=row)
        np.testing.assert_array_equal(every(losses=row), expected)
    np.testing.assert_array_equal(every.weighter.mean, alone.mean)


def test_observe_learns_from_measured_steps_only():
    every, alone = Every(MetaWeighting(0.5), steps=2), MetaWeighting(0.5)
    random, losses = np.random.default_rng(0), [1.0, 1.0, 1.0]
    for number in range(6):
        seen = {
            "query_support_gramian": random.normal(size=(3, 3)) + np.eye(3),
            "learning_rate": 0.1,
        }
        weights = every(losses=losses)
        every.observe(**seen)
        if number % 2 == 0:
            np.testing.assert_array_equal(weights, alone(losses=losses))
            alone.observe(**seen)
    inner = every.weighter.task_weights
    np.testing.assert_array_equal(inner, alone.task_weights)


def test_a_task_absent_when_measured_keeps_its_weight():
    every = Every(MGDA(), steps=1)
    every(gramian=np.diag([1.0, 1.0]))
    absent = {"gramian": np.diag([1.0, 0.0]), "present": [1.0, 0.0]}
    np.testing.assert_allclose(MGDA()(**absent), [1.0, 0.0])
    np.testing.assert_allclose(every(**absent), [1.0, 0.5], rtol=1e-6)


class Measuring(Every):
    """The same weights, from steps that all measure."""

    due = None


INNER = {
    "mgda": lambda: MGDA(scope="shared"),
    "pcgrad": lambda: PCGrad(seed=1),
    "slaw": SLAW,
    "meta_weighting": lambda: MetaWeighting(20.0),
}


def trained(weighter, strategy=None, **kwargs):
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = new_model(weighter, **kwargs)
    logs = [step(model, number) for number in range(STEPS)]
    return read(model.trainable_variables), logs


@functools.cache
def always_measuring(name):
    """What comes of steps that all measure, run eagerly."""
    return trained(Measuring(INNER[name](), steps=3), run_eagerly=True)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        *((name, {}) for name in INNER),
        ("mgda", {"run_eagerly": True}),
        ("mgda", {"jit_compile": True}),
    ],
    ids=str,
)
def test_a_step_that_holds_is_one_with_the_last_weights(name, mode):
    received, logs = trained(Every(INNER[name](), steps=3), **mode)
    expected, others = always_measuring(name)
    for mine, other in zip(received, expected, strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-5, atol=2e-6)
    keys = [key for key in logs[0] if key.endswith("_weight")]
    for mine, other in zip(logs, others, strict=True):
        for key in keys:
            np.testing.assert_allclose(mine[key], other[key], rtol=1e-4)
    of_step = [[log[key] for key in keys] for log in logs]
    assert of_step[1] == of_step[2] == of_step[0] != of_step[3]


def test_two_replicas_do_what_one_does(strategy):
    """`tf.cond` stands outside of the replicas, which reduce."""
    for wrap in (lambda e: e, lambda e: Smoothed(e, 0.5)):
        received, _ = trained(wrap(Every(INNER["pcgrad"](), 2)), strategy)
        expected, _ = trained(
            wrap(Every(INNER["pcgrad"](), 2)), run_eagerly=True
        )
        for mine, other in zip(received, expected, strict=True):
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "weighter", [lambda: Every("pcgrad", 3), lambda: NashMTL(every=3)]
)
def test_gradients_are_measured_in_every_nth_step_only(monkeypatch, weighter):
    measured, gramian = [], TaskGradients.gramian

    def counted(self, *args, **kwargs):
        measured.append(number)
        return gramian(self, *args, **kwargs)

    monkeypatch.setattr(TaskGradients, "gramian", counted)
    model = new_model(weighter(), run_eagerly=True)
    for number in range(STEPS):
        step(model, number)
    assert measured == [0, 3, 6]


def test_around_another_wrapper_and_inside_one():
    assert Smoothed(Every("slaw", steps=2)).steps == 2
    weighter = Every(Smoothed("log_losses", momentum=0.5), steps=2)
    received = [
        weighter(losses=[loss]).numpy().item() for loss in (1, 9, 0.5, 9)
    ]
    np.testing.assert_allclose(received, [1.0, 1.0, 1.5, 1.5], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: Every("slaw", steps=0),
            "Argument `steps` must be at least 1. Received: steps=0",
        ),
        (
            lambda: Every(Smoothed(Every("slaw", 2)), 5),
            "Every cannot go around another Every. Multiply the two numbers "
            "of steps. Received: 5 and 2",
        ),
        (
            lambda: Every(NashMTL(every=2), 5),
            "Every cannot go around NashMTL(every=2). Multiply the two numbers "
            "of steps. Received: 5 and 2",
        ),
        (
            lambda: OfLogLosses(NashMTL(every=2)),
            "OfLogLosses cannot go around NashMTL(every=2): the losses of a "
            "step that measures nothing are not known. Use "
            "Every(OfLogLosses(...)).",
        ),
        (
            lambda: Every(IMTLL(), 5)(losses=[1.0, 2.0]),
            "Every cannot hold the weights of IMTLL, which the optimizer "
            "trains in each step. Use it alone: it measures nothing but the "
            "losses.",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError) as error:
        make()
    assert str(error.value) == message


def test_wrappers_without_every_measure_in_every_step():
    assert Smoothed("slaw").due is None
    assert isinstance(Smoothed("slaw"), Wrapper)
