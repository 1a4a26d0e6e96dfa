import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.solvers import task_gradients
from keras_mtl.weighters import AlignedMTL
from tests.weighters.gramians import expect_golden, family, random_jacobians

SCALES = ("min", "median", "rmse")


@pytest.mark.parametrize("scale", SCALES)
def test_golden_updates(scale):
    method = f"AlignedMTL({scale}), float32"
    expect_golden(AlignedMTL(scale), 1e-4, method, "torchjd")


@pytest.mark.parametrize("scale", SCALES)
def test_the_aligned_gradients_are_orthogonal_and_of_one_length(scale):
    """The weights of each preference alone are a row of the alignment B.

    For the 200 plain ones of 1,000 Gramians, K = 5: `B G B` is a multiple of
    the identity, the squared length that the scale names: worst 7e-14, median
    2e-15. For all, no direction is longer than all gradients together.
    """
    jacobians = random_jacobians()
    aligned = [AlignedMTL(scale, list(row)) for row in np.eye(5)]
    for weighter in aligned:
        weighter.bind(5)

    @tf.function(autograph=False)
    def weigh(gramians):
        def of_one(gramian):
            gradients = task_gradients(gramian)
            return tf.stack([each.combine(gradients) for each in aligned])

        return tf.map_fn(of_one, gramians)

    gramians = jacobians @ jacobians.transpose(0, 2, 1)
    gramians = np.float64(np.float32(gramians))
    alignment = weigh(gramians).numpy()
    assert np.isfinite(alignment).all()
    values = np.linalg.eigvalsh(family("plain", gramians))
    square = {
        "min": values[:, 0],
        "median": values[:, 2],
        "rmse": values.mean(1),
    }
    matrix = family("plain", alignment)
    product = matrix @ family("plain", gramians) @ matrix
    product /= square[scale][:, None, None]
    errors = np.abs(product - np.eye(5)).max((1, 2))
    assert errors.max() <= 1e-11
    assert np.median(errors) <= 1e-13
    lengths = np.linalg.eigvalsh(alignment @ gramians @ alignment)
    longest = np.einsum("nii->n", gramians)  # Its sum of squared lengths.
    assert (lengths[:, -1] <= longest * (1.0 + 1e-6)).all()


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
