"""What a process that runs tests sets up; `conftest.py` loads it there."""

import contextlib
import gc
import os

from tests import xla

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("XLA_FLAGS", xla.flags())

import hypothesis
import keras
import pytest
import tensorflow as tf

from keras_mtl import testing
from keras_mtl.solvers.compiling import plain_kernels
from tests.tracing import trace_lightly

# A machine may be busy: only what a test computes counts.
hypothesis.settings.register_profile("no_deadline", deadline=None)
hypothesis.settings.load_profile("no_deadline")

# Tests run in one process per core.
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
STRATEGY = testing.two_replicas()
trace_lightly()


# Not there in Keras' older releases, which then compile steps.
RESOLVE = getattr(keras.Model, "_resolve_auto_jit_compile", None)
PLAIN = contextlib.ExitStack()


def run_as_users_do(wanted):
    """Whether graphs traced from now on are made as fast as for long runs.

    TensorFlow rewrites them, `jit_compile="auto"` compiles a step, and solvers
    are compiled within steps that are not. Tests run a graph once or twice:
    most of their time would go into this. Where it is the subject, a file uses
    `_as_users_run`; `jit_compile=True` is obeyed everywhere.
    """
    tf.config.optimizer.set_experimental_options(
        {"disable_meta_optimizer": not wanted}
    )
    PLAIN.close()
    keras.Model._resolve_auto_jit_compile = RESOLVE
    if not wanted:
        PLAIN.enter_context(plain_kernels())
        keras.Model._resolve_auto_jit_compile = lambda model: False


run_as_users_do(False)


def pytest_collection_finish():
    """What was imported stays: it need not be looked through for garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_unconfigure():
    PLAIN.close()


@pytest.fixture(scope="module")
def _as_users_run():
    run_as_users_do(True)
    yield
    run_as_users_do(False)


@pytest.fixture(scope="session")
def strategy():
    """The only MirroredStrategy of the process: a second one aborts it."""
    return STRATEGY


@pytest.fixture(autouse=True)
def _reproducible():
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(autouse=True, scope="module")
def _clear_session():
    yield
    keras.backend.clear_session()
    # What is alive now stays, and grows to millions of objects: looking through
    # them took longer with every file.
    gc.freeze()
