import numpy as np
import pytest

from keras_mtl.weighters import LogLosses
from tests.golden import golden_losses, golden_weights


def test_golden():
    log_losses = LogLosses()
    received = [log_losses(losses=row) for row in golden_losses()[0]]
    expected = golden_weights("LogLosses", "nash-mtl")
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_a_loss_of_another_unit_changes_nothing():
    losses, unit = np.array([0.3, 2.0, 5.0]), np.array([1.0, 1e4, 1e-3])
    np.testing.assert_allclose(
        LogLosses()(losses=losses * unit) * unit,
        LogLosses()(losses=losses),
        rtol=1e-5,
    )


def test_losses_of_zero_and_below():
    weights = LogLosses(epsilon=0.5)(losses=[0.0, -3.0, 1.5])
    np.testing.assert_allclose(weights, [2.0, 2.0, 0.5])


def test_absent_task_keeps_its_weight():
    log_losses = LogLosses(epsilon=1.0)
    log_losses(losses=[1.0, 3.0])
    weights = log_losses(losses=[0.0, 1.0], present=[0.0, 1.0])
    np.testing.assert_allclose(weights, [0.5, 0.5])


def test_error():
    with pytest.raises(ValueError) as error:
        LogLosses(epsilon=0)
    assert str(error.value) == (
        "Argument `epsilon` must be greater than 0. Received: epsilon=0"
    )
