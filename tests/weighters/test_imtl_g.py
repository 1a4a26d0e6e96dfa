import numpy as np
import pytest

from keras_mtl.weighters import IMTLG
from tests.weighters.gramians import (
    expect_golden,
    family,
    of_units,
    random_jacobians,
    weigh_all,
)


def test_golden_updates():
    expect_golden(IMTLG(), 1e-5, "IMTLG", "torchjd", up_to_sign=True)


def test_all_tasks_gain_alike():
    """1,000 Gramians of all families, 1e-10 to 1e15, K = 5.

    Spread of the cosines to the tasks: worst 2e-6, median 5e-8 for plain and
    scaled gradients. Dependent ones have no update of equal cosines.
    """
    jacobians = random_jacobians()
    norms, cosines = of_units(jacobians)
    weights, _ = weigh_all(IMTLG(), jacobians)
    np.testing.assert_allclose(
        np.abs(weights.sum(1)), 1.0, atol=1e-9 * np.abs(weights).sum(1).max()
    )
    parts = weights * norms
    gains = np.einsum("nij,nj->ni", cosines, parts)
    gains /= np.sqrt(np.einsum("ni,ni->n", gains, parts))[:, None]
    for name in ("plain", "scaled"):
        spread = np.ptp(family(name, gains), 1)
        assert spread.max() <= 1e-5
        assert np.median(spread) <= 5e-7
        assert family(name, gains).min() > 0.0


def test_a_short_gradient_between_long_ones_is_not_climbed():
    """TorchJD and LibMTL: cosine -0.968 to each of such gradients."""
    jacobian = np.array([[1.0, 0.3], [1.0, -0.3], [0.01, 0.0]])
    jacobian = np.hstack([jacobian, 0.01 * np.eye(3)])
    weights = np.float64(IMTLG()(gramian=jacobian @ jacobian.T))
    assert weights.sum() == pytest.approx(1.0, abs=1e-5)
    jacobian = np.array([[1.0, 0.5, 0.0], [1.0, -0.5, 0.0], [0.1, 0.0, 0.01]])
    weights = np.float64(IMTLG()(gramian=jacobian @ jacobian.T))
    assert weights.sum() == pytest.approx(-1.0, abs=1e-5)
    update = weights @ jacobian
    cosines = jacobian @ update / np.linalg.norm(jacobian, axis=1)
    np.testing.assert_allclose(cosines, cosines[0], rtol=1e-3)
    assert cosines[0] > 0.0


def test_two_tasks_weigh_the_inverse_of_their_norms():
    weights = IMTLG()(gramian=[[1.0, -1.5], [-1.5, 9.0]])
    np.testing.assert_allclose(weights, [0.75, 0.25], rtol=1e-6)
