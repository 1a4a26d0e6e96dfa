import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.testing import (
    ConformanceError,
    check_weighter,
    two_replicas,
    weighter_checks,
)
from keras_mtl.weighters import Constant, GradientWeighter, Weighter

CHECKS = dict(weighter_checks())


class Smoothed(Weighter):
    """A good weighter, from which the bad ones are made."""

    def __init__(self, momentum=0.9, **kwargs):
        super().__init__(**kwargs)
        self.momentum = momentum

    def build(self, losses_shape):
        self.average = self.add_state("average", losses_shape, "ones")

    def call(self, losses, present=None):
        average = self.momentum * self.average + (1 - self.momentum) * losses
        if present is not None:
            average = tf.where(present > 0.0, average, self.average)
        self.average.assign(average)
        return 1.0 / tf.maximum(average, 1e-6)

    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum}


class Norms(GradientWeighter):
    """A good weighter of gradients, with `observe` and no state."""

    def call(self, gramian, present=None):
        squares = tf.linalg.diag_part(gramian)
        return tf.math.rsqrt(1.0 + squares)

    def observe(self, query_support_gramian, learning_rate):
        hypergradient = learning_rate * tf.linalg.diag_part(
            query_support_gramian
        )
        return self.task_weights / (1.0 + tf.abs(hypergradient))


class ReturnsNaN(Smoothed):
    def call(self, losses, present=None):
        return tf.math.log(losses) / tf.math.log(losses)


class ReturnsFloat16(Smoothed):
    def call(self, losses, present=None):
        return tf.cast(super().call(losses, present), tf.float16)


class ReturnsScalar(Smoothed):
    def call(self, losses, present=None):
        return tf.reduce_mean(super().call(losses, present))


class ReturnsMatrix(Norms):
    def call(self, gramian, present=None):
        return 1.0 / (1.0 + tf.square(gramian))


class SetsTaskWeights(Smoothed):
    def _advance(self, method, signals):
        return 2.0 * super()._advance(method, signals)


class ForgetsArgument(Smoothed):
    def get_config(self):
        config = super().get_config()
        config.pop("momentum")
        return config


class ForgetsInheritedArgument(ForgetsArgument):
    def __init__(self, bound=1.0, **kwargs):
        super().__init__(**kwargs)
        self.bound = bound

    def get_config(self):
        return {**super().get_config(), "bound": self.bound}


class ChangesArgument(Smoothed):
    def get_config(self):
        return {**super().get_config(), "momentum": self.momentum / 2}


class KeepsTensorInConfig(Smoothed):
    def get_config(self):
        return {**super().get_config(), "momentum": lambda: self.momentum}


class UsesNumpy(Smoothed):
    def call(self, losses, present=None):
        return tf.constant(1.0 / (1.0 + np.square(losses.numpy())))


class BranchesInPython(Smoothed):
    def call(self, losses, present=None):
        return losses if tf.reduce_sum(losses) > 1.0 else 1.0 + losses


class CountsInPython(Smoothed):
    steps = 0

    def call(self, losses, present=None):
        self.steps += 1
        return losses + float(self.steps)


class CallsPython(Smoothed):
    def call(self, losses, present=None):
        (weights,) = tf.py_function(lambda x: [1.0 + x], [losses], [tf.float32])
        return tf.ensure_shape(weights, losses.shape)


class AddsStateInCall(Smoothed):
    last = None

    def call(self, losses, present=None):
        if self.last is None:
            self.last = tf.Variable(tf.zeros_like(losses), trainable=False)
        return losses + 0.0 * self.last


class DrawsUnsavedNumbers(Smoothed):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.generator = keras.random.SeedGenerator()

    def call(self, losses, present=None):
        return losses + keras.random.uniform(losses.shape, seed=self.generator)


class IgnoresAbsence(Smoothed):
    def call(self, losses, present=None):
        return super().call(losses)


class DividesByPresent(Smoothed):
    def call(self, losses, present=None):
        present = tf.ones_like(losses) if present is None else present
        return losses / tf.reduce_sum(present)


class NeedsPresent(Smoothed):
    def call(self, losses, present):
        return super().call(losses, present)


class CountsAbsentGradients(Norms):
    def call(self, gramian, present=None):
        return super().call(gramian) / gramian.shape[0]


class PrefersTheFirst(Smoothed):
    def call(self, losses, present=None):
        return losses * tf.range(1.0, losses.shape[0] + 1.0)


class SumsOverReplicas(Smoothed):
    def build(self, losses_shape):
        self.average = self.add_weight(
            shape=losses_shape,
            initializer="ones",
            trainable=False,
            aggregation="sum",
        )


class UsesPlainWeight(Smoothed):
    def build(self, losses_shape):
        self.average = self.add_weight(
            shape=losses_shape, initializer="ones", trainable=False
        )


class ReducesOverReplicas(Smoothed):
    def call(self, losses, present=None):
        replica = tf.distribute.get_replica_context()
        return super().call(replica.all_reduce("sum", losses), present)


class FollowsThePolicy(Smoothed):
    def call(self, losses, present=None):
        policy = keras.config.dtype_policy()
        losses = tf.cast(losses, policy.compute_dtype)
        return super().call(tf.cast(losses, tf.float32), present)


class KeepsNaN(Smoothed):
    def build(self, losses_shape):
        super().build(losses_shape)
        self.worst = tf.Variable(tf.zeros(losses_shape), trainable=False)

    def call(self, losses, present=None):
        self.worst.assign(tf.maximum(self.worst, losses))
        return 1.0 + self.worst


class TakesTensorsOnly(Smoothed):
    def __call__(self, losses, present=None):
        return super().__call__(tf.ensure_shape(losses, losses.shape), present)


class BuiltForThree(Smoothed):
    def build(self, losses_shape):
        self.average = self.add_state("average", (3,), "ones")


BAD = {
    ReturnsNaN: "finite",
    ReturnsFloat16: "results",
    ReturnsScalar: "results",
    ReturnsMatrix: "results",
    SetsTaskWeights: "results",
    ForgetsArgument: "config",
    ForgetsInheritedArgument: "config",
    ChangesArgument: "config",
    KeepsTensorInConfig: "config",
    UsesNumpy: "graph",
    BranchesInPython: "graph",
    CountsInPython: "graph",
    CallsPython: "xla",
    AddsStateInCall: "no_retrace",
    DrawsUnsavedNumbers: "saving",
    IgnoresAbsence: "absent_task",
    DividesByPresent: "all_tasks_absent",
    NeedsPresent: "present_optional",
    CountsAbsentGradients: "absent_gradient",
    PrefersTheFirst: "permutation",
    SumsOverReplicas: "two_replicas",
    UsesPlainWeight: "two_replicas",
    ReducesOverReplicas: "two_replicas",
    FollowsThePolicy: "mixed_float16",
    KeepsNaN: "non_finite",
    BuiltForThree: "results",
    TakesTensorsOnly: "arrays",
}


SHARED = Smoothed()


@pytest.mark.parametrize("weighter", [Smoothed, Norms])
def test_good_weighter_passes(weighter):
    check_weighter(weighter)


@pytest.mark.parametrize(
    ("weighter", "check"), BAD.items(), ids=lambda v: getattr(v, "__name__", v)
)
def test_bad_weighter_fails_its_check(weighter, check):
    with pytest.raises(ConformanceError) as caught:
        CHECKS[check](weighter)
    assert caught.value.checks == (check,)
    message = str(caught.value)
    assert message.startswith(f"{weighter.__name__} fails check_{check} with ")


def test_every_check_has_a_bad_weighter():
    assert set(CHECKS) - set(BAD.values()) == {"declaration"}


@pytest.mark.parametrize(
    "factory", [lambda: "slaw", lambda: SHARED], ids=["no weighter", "shared"]
)
def test_bad_factory_fails_declaration(factory):
    with pytest.raises(ConformanceError, match="check_declaration") as caught:
        check_weighter(factory)
    assert caught.value.checks == ("declaration",)


def test_message_says_what_to_do():
    with pytest.raises(ConformanceError) as caught:
        CHECKS["config"](ForgetsArgument)
    assert str(caught.value) == (
        "ForgetsArgument fails check_config with 3 tasks: expected every "
        "argument of `__init__` in `get_config()`; received ['dtype', 'name', "
        "'trainable'] without ['momentum']. Add them."
    )


def test_all_failures_are_listed():
    with pytest.raises(ConformanceError) as caught:
        check_weighter(CountsInPython, num_tasks=(3,))
    assert {"graph", "saving", "xla"} <= set(caught.value.checks)
    assert len(str(caught.value).splitlines()) == len(caught.value.checks)


def test_skip_leaves_a_check_out():
    with pytest.raises(ConformanceError, match="check_permutation"):
        check_weighter(PrefersTheFirst, num_tasks=(2,))
    reason = {"permutation": "the first task matters most"}
    check_weighter(PrefersTheFirst, num_tasks=(2,), skip=reason)


def test_skip_of_an_unknown_check_is_refused():
    with pytest.raises(ValueError, match=r"Did you mean 'permutation'\?"):
        check_weighter(Constant, skip={"permutations": "a typing error"})


def test_skip_without_reason_is_refused():
    with pytest.raises(ValueError, match="must give the reason"):
        check_weighter(Constant, skip={"permutation": " "})


def test_factory_with_an_argument_for_each_task():
    check_weighter(
        lambda: Constant([2.0, 1.0, 1.0]),
        num_tasks=(3,),
        skip={"permutation": "one argument for each task"},
    )


def test_policy_is_restored():
    with pytest.raises(ConformanceError):
        CHECKS["mixed_float16"](FollowsThePolicy)
    assert keras.config.dtype_policy().name == "float32"


def test_one_strategy_in_the_process(strategy):
    assert two_replicas() is strategy
    assert strategy.num_replicas_in_sync == 2


def test_without_two_devices_the_replica_check_says_so():
    code = """
import tensorflow as tf
tf.constant(1.0)
from keras_mtl.testing import two_replicas, weighter_checks
from keras_mtl.weighters import Constant
assert two_replicas() is None
dict(weighter_checks())["two_replicas"](Constant)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "check_two_replicas was left out" in done.stderr
