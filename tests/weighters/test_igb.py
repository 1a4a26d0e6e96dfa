import numpy as np
import pytest

from keras_mtl.weighters import IGB
from tests.golden import golden_losses, golden_weights


def test_golden():
    igb = IGB()
    losses, epochs = golden_losses()
    received = [
        igb(losses=row, epoch=epoch)
        for row, epoch in zip(losses, epochs, strict=True)
    ]
    expected = golden_weights("IGB", "IGB4MTL")
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_at_the_base_all_weighted_losses_are_equal():
    igb, base = IGB(base_epoch=1), np.array([3.0, 0.2, 9.0])
    for epoch, losses in ((0, [1.0, 1.0, 1.0]), (1, base), (2, base)):
        weights = igb(losses=losses, epoch=epoch)
        np.testing.assert_allclose(weights * losses, 1.0, rtol=1e-6)


def test_the_task_that_improved_least_counts_most():
    igb = IGB()
    igb(losses=[3.0, 0.2], epoch=0)
    weights = igb(losses=[1.5, 0.2], epoch=1) * [1.5, 0.2]
    odds = np.exp([0.5, 1.0])
    np.testing.assert_allclose(weights, 2 * odds / odds.sum(), rtol=1e-5)


def test_error():
    with pytest.raises(ValueError) as error:
        IGB(base_epoch=-1)
    assert str(error.value) == (
        "Argument `base_epoch` must be at least 0. Received: base_epoch=-1"
    )
