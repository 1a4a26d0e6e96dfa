import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import hypothesis
import keras
import pytest
import tensorflow as tf

from keras_mtl import testing

# A machine may be busy: only what a test computes counts.
hypothesis.settings.register_profile("no_deadline", deadline=None)
hypothesis.settings.load_profile("no_deadline")

# Tests run in one process per core.
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
STRATEGY = testing.two_replicas()


def rewrite_graphs(wanted):
    """Whether TensorFlow optimizes the graphs that are traced from now on."""
    tf.config.optimizer.set_experimental_options(
        {"disable_meta_optimizer": not wanted}
    )


# It takes an eighth of the tests' time, and their graphs run once or twice.
rewrite_graphs(False)


@pytest.fixture(scope="module")
def _graphs_as_users_have_them():
    rewrite_graphs(True)
    yield
    rewrite_graphs(False)


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
