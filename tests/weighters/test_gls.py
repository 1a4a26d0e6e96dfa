import numpy as np
import pytest

from keras_mtl import weighters
from keras_mtl.weighters import GLS
from tests.golden import golden_losses, golden_weights


@pytest.mark.parametrize("tool", ["torchjd", "LibMTL"])
def test_golden(tool):
    gls = GLS()
    received = [gls(losses=row) for row in golden_losses()[0]]
    np.testing.assert_allclose(received, golden_weights("GLS", tool), rtol=1e-5)


def test_weighted_losses_are_the_geometric_mean_over_k():
    losses = np.exp(np.random.default_rng(0).normal(scale=5, size=(100, 7)))
    for row in losses:
        mean = np.exp(np.log(row).mean())
        np.testing.assert_allclose(GLS()(losses=row) * row, mean / 7, rtol=1e-5)


def test_a_loss_of_another_unit_leaves_the_direction():
    """Gradients change with the loss: w L must keep its proportions."""
    losses, unit = np.array([0.3, 2.0, 5.0]), np.array([1.0, 1e4, 1.0])
    before = GLS()(losses=losses)
    after = GLS()(losses=losses * unit) * unit
    np.testing.assert_allclose(after / after[0], before / before[0], rtol=1e-5)


def test_128_losses_whose_product_leaves_float32():
    losses = np.full(128, 1e-3)
    np.testing.assert_allclose(GLS()(losses=losses), 1 / 128, rtol=1e-5)


def test_the_mean_is_over_tasks_with_a_label():
    gls = GLS()
    gls(losses=[1.0, 4.0, 7.0])
    kept = gls.task_weights.numpy()[2]
    weights = gls(losses=[1.0, 4.0, 0.0], present=[1.0, 1.0, 0.0])
    np.testing.assert_allclose(weights, [1.0, 0.25, kept], rtol=1e-6)


def test_a_loss_of_zero_counts_as_1e_30():
    weights = GLS()(losses=[0.0, 1.0])
    np.testing.assert_allclose(weights, [0.5e15, 0.5e-15], rtol=1e-5)


def test_alias():
    assert type(weighters.get("geometric_mean")) is GLS
