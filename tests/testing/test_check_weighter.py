import keras
import pytest

import keras_mtl
from keras_mtl.testing import (
    ConformanceError,
    check_weighter,
    two_replicas,
    weighter_checks,
)
from keras_mtl.weighters import Constant
from tests import warm
from tests.testing.bad_weighters import (
    BAD,
    CountsInPython,
    FollowsThePolicy,
    ForgetsArgument,
    NeedsPresent,
    Norms,
    OfHeadsToo,
    PrefersTheFirst,
    Smoothed,
)

CHECKS = dict(weighter_checks())
SHARED = Smoothed()


def test_the_package_brings_the_suite(monkeypatch):
    monkeypatch.delattr(keras_mtl, "testing")
    assert keras_mtl.testing.check_weighter is check_weighter


@pytest.mark.parametrize("weighter", [Smoothed, Norms, OfHeadsToo])
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


def test_message_asks_for_the_default_of_present():
    with pytest.raises(ConformanceError, match="expected `present=None`"):
        CHECKS["present_optional"](NeedsPresent)


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
    done = warm.run("-c", code)
    assert done.returncode == 0, done.stderr
    assert "check_two_replicas was left out" in done.stderr
