"""Two replicas and one device: every weighter, inputs, query data, clipping."""

import re
from unittest import mock

import pytest
import tensorflow as tf

from keras_mtl import distribution
from tests.replica_trials import (
    MATRIX,
    MIXED,
    OTHERS,
    TOLERANCES,
    Trial,
    greatest_difference,
    run,
)
from tests.training import build_model, new_model

QUICK = [
    Trial("uncertainty", separate=True, discriminator=True, rows=25),
    Trial("meta_weighting", rows=25, query_batch=3, epochs=2),
    Trial("slaw", steps_per_execution=3),
]


def check(trial, strategy, record=lambda *_: None):
    received = run(trial, strategy)
    expected = run(trial)
    worst, place = greatest_difference(received, expected)
    record(f"{trial}, two replicas", worst)
    assert worst <= TOLERANCES[trial.policy], place


@pytest.mark.parametrize("trial", QUICK, ids=str)
def test_uneven_batches(strategy, trial):
    check(trial, strategy)


@pytest.mark.soak
@pytest.mark.parametrize("trial", MATRIX + OTHERS + MIXED, ids=str)
def test_every_weighter(strategy, trial, record_property):
    check(trial, strategy, record_property)


def test_xla_is_refused(strategy):
    message = (
        "XLA cannot compile a training step whose sums go over several "
        "replicas. Pass jit_compile=False, or leave it out. Received: "
        "jit_compile=True with 2 replicas."
    )
    with (
        strategy.scope(),
        pytest.raises(ValueError, match=f"^{re.escape(message)}$"),
    ):
        new_model(jit_compile=True)


def test_parameter_servers_are_refused():
    servers = mock.Mock(spec=tf.distribute.ParameterServerStrategy)
    message = (
        "Weighters need the losses of all workers on one batch, and under "
        "ParameterServerStrategy each has batches of its own. Compile in the "
        "scope of a MultiWorkerMirroredStrategy."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        distribution.check_strategy(servers, jit_compile=False)


def test_a_model_compiled_by_xla_is_loaded_without(strategy):
    config = new_model(jit_compile=True).get_compile_config()
    with strategy.scope():
        model = build_model()
        model.compile_from_config(config)
    assert not model.jit_compile
