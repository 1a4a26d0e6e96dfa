import numpy as np
import pytest

from keras_mtl.weighters import Smoothed, UPGrad
from tests.golden import golden, golden_weights


def test_golden():
    """Of UPGrad without the reference's ridge."""
    jacobians = np.array(golden("sequences")["J"])
    smoothed = Smoothed(UPGrad(), momentum=0.9)
    received = [smoothed(gramian=j @ j.T) for j in jacobians]
    expected = golden_weights("CRMOGM(UPGrad, 0.9)", "torchjd", "sequences")
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)


def test_moving_average_of_what_the_inner_weighter_finds():
    losses = np.random.default_rng(0).uniform(0.5, 2.0, (20, 3))
    smoothed, average = Smoothed("log_losses", 0.8), 1 / losses[0]
    for row in losses:
        average = 0.8 * average + 0.2 / row
        np.testing.assert_allclose(smoothed(losses=row), average, rtol=1e-5)


def test_absent_task_keeps_its_average():
    smoothed = Smoothed("log_losses", momentum=0.5)
    smoothed(losses=[1.0, 1.0])
    weights = smoothed(losses=[0.0, 0.5], present=[0.0, 1.0])
    np.testing.assert_allclose(weights, [1.0, 1.5], rtol=1e-6)
    weights = smoothed(losses=[0.25, 0.5])
    np.testing.assert_allclose(weights, [2.5, 1.75], rtol=1e-6)


def test_error():
    with pytest.raises(ValueError) as error:
        Smoothed("slaw", momentum=1)
    assert str(error.value) == (
        "Argument `momentum` must be in the range [0, 1). Received: momentum=1"
    )
