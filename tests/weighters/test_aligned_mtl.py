import numpy as np
import pytest

from keras_mtl.weighters import AlignedMTL
from tests.weighters.gramians import expect_golden, random_jacobians

SCALES = ("min", "median", "rmse")


@pytest.mark.parametrize("scale", SCALES)
def test_golden_updates(scale):
    method = f"AlignedMTL({scale}), float32"
    expect_golden(AlignedMTL(scale), 1e-4, method, "torchjd")


@pytest.mark.parametrize("scale", SCALES)
def test_the_aligned_gradients_are_orthogonal_and_of_one_length(scale):
    """The weights of each preference alone are a row of the alignment B.

    For 20 plain Gramians, K = 5: `B G B` is a multiple of the identity, the
    squared length that the scale names, within 2e-4 (median 1e-5).
    """
    aligned = [AlignedMTL(scale, list(row)) for row in np.eye(5)]
    errors = []
    for jacobian in random_jacobians()[:100:5]:
        gramian = np.float64(np.float32(jacobian @ jacobian.T))
        alignment = np.float64([a(gramian=gramian) for a in aligned])
        values = np.linalg.eigvalsh(gramian)
        square = {"min": values[0], "median": values[2], "rmse": values.mean()}
        product = alignment @ gramian @ alignment / square[scale]
        errors.append(np.abs(product - np.eye(5)).max())
    assert max(errors) <= 1e-3
    assert np.median(errors) <= 1e-4


def test_what_float32_cannot_tell_from_none_is_left_out():
    """Rank 2 of 3: the projection on the plane of the gradients."""
    jacobian = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 2.0]])
    weights = np.float64(AlignedMTL("min")(gramian=jacobian @ jacobian.T))
    left, values, right = np.linalg.svd(jacobian, full_matrices=False)
    expected = values.min() * (left @ right).mean(0) * 3 / 3
    np.testing.assert_allclose(weights @ jacobian, expected, rtol=1e-5)


def test_preferences_are_the_authors_sum():
    gramian = np.diag([1.0, 4.0, 9.0])
    mean = AlignedMTL()(gramian=gramian)
    np.testing.assert_allclose(mean, [1 / 3, 1 / 6, 1 / 9], rtol=1e-6)
    total = AlignedMTL(preference=[1.0, 1.0, 1.0])(gramian=gramian)
    np.testing.assert_allclose(total, 3 * mean.numpy(), rtol=1e-6)


def test_absent_tasks_and_no_gradient_at_all():
    gramian = np.full((3, 3), -1.0)
    gramian[::2, ::2] = [[1.0, 0.0], [0.0, 4.0]]
    weights = AlignedMTL()(gramian=gramian, present=[1.0, 0.0, 1.0])
    np.testing.assert_allclose(weights, [0.5, 0.0, 0.25], rtol=1e-6)
    weights = AlignedMTL()(gramian=np.zeros((2, 2)))
    np.testing.assert_array_equal(weights, [0.5, 0.5])


def test_errors():
    with pytest.raises(ValueError) as error:
        AlignedMTL("mean")
    assert str(error.value) == (
        "Argument `scale` must be one of ['min', 'median', 'rmse']. "
        "Received: scale='mean'. Did you mean 'median'?"
    )
