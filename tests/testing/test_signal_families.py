import numpy as np
import pytest

from keras_mtl.signals import SIGNALS
from keras_mtl.testing.signal_families import (
    EXTREME_FAMILIES,
    model_sizes,
    signal_sequence,
    take_tasks,
    without_task,
)
from keras_mtl.weighters import Weighter


class AsksForAll(Weighter):
    needs = tuple(SIGNALS)

    def call(self, losses):
        return losses


@pytest.fixture
def signals():
    return signal_sequence(AsksForAll(), 3)[2]


@pytest.mark.parametrize("family", ["random", "large", *EXTREME_FAMILIES])
@pytest.mark.parametrize("num_tasks", [1, 4])
def test_shapes_are_those_of_the_signals(family, num_tasks):
    (signals,) = signal_sequence(AsksForAll(), num_tasks, [family])
    assert list(signals) == list(SIGNALS)
    for name, value in signals.items():
        shape = SIGNALS[name].shape(num_tasks, model_sizes(num_tasks))
        assert value.shape == shape
        assert value.dtype == "float32"
        assert np.isfinite(value.numpy()).all()


def test_signals_of_a_step_belong_together(signals):
    gramian = signals["gramian"].numpy()
    np.testing.assert_array_equal(gramian, gramian.T)
    assert np.linalg.eigvalsh(gramian).min() > 0.0
    np.testing.assert_allclose(
        signals["gradient_norms"], np.sqrt(np.diag(gramian)), rtol=1e-6
    )
    assert (signals["losses"].numpy() > 0.0).all()
    assert signals["epoch"] == 2.0


@pytest.mark.parametrize(("family", "rank"), [("zero", 0), ("rank_one", 1)])
def test_families_have_their_rank(family, rank):
    (signals,) = signal_sequence(AsksForAll(), 4, [family])
    gramian = signals["gramian"].numpy()
    assert np.linalg.matrix_rank(gramian, tol=1e-4) == rank


def test_absent_task_has_no_signal(signals):
    absent = without_task(signals, 1)
    np.testing.assert_array_equal(absent["present"], [1.0, 0.0, 1.0])
    assert not absent["gramian"].numpy()[1].any()
    assert not absent["gramian"].numpy()[:, 1].any()
    assert absent["learning_rate"] == signals["learning_rate"]


def test_taken_tasks_keep_their_signals(signals):
    taken = take_tasks(signals, [2, 0])
    assert taken["losses"][0] == signals["losses"][2]
    assert taken["gramian"][0, 1] == signals["gramian"][2, 0]
