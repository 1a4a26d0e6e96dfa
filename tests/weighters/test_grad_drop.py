import numpy as np
import pytest

from keras_mtl.weighters import GradDrop
from tests.weighters.by_row import call_by_row

SUMS = np.array([[3.0, 1.0, -2.0, 0.0], [-1.0, 2.0, -1.0, 0.0]])


def draws(drop, number, sums=SUMS, **kwargs):
    drop.bind(len(sums), sizes={"coordinate": sums.shape[1]})

    def kept(signed_gradients):
        found = drop.weigh(signed_gradients=signed_gradients, **kwargs)
        return found.coordinates

    return call_by_row(kept, {"signed_gradients": [sums] * number})


def test_a_sign_is_kept_with_the_probability_of_its_share():
    """Purity 3/4 in the first coordinate; no conflict in the others."""
    kept = draws(GradDrop(seed=0), 1500)
    np.testing.assert_allclose(kept[:, 0, 0].mean(), 0.75, atol=0.04)
    np.testing.assert_array_equal(kept[:, 1, 0], 1.0 - kept[:, 0, 0])
    np.testing.assert_array_equal(kept[:, :, 1:3], 1.0)
    np.testing.assert_array_equal(kept[:, :, 3], 0.0)  # Nothing to keep.


def test_coordinates_draw_by_themselves():
    sums = np.tile([[1.0], [-1.0]], (1, 2000))
    (kept,) = draws(GradDrop(seed=1), 1, sums)
    np.testing.assert_allclose(kept[0].mean(), 0.5, atol=0.04)


def test_a_leak_is_never_dropped():
    kept = draws(GradDrop(leak=[0.25, 1.0], seed=0), 200)
    assert set(np.unique(kept[:, 0, 0])) == {0.25, 1.0}
    np.testing.assert_array_equal(kept[:, 1], 1.0)


def test_the_weights_of_a_task_are_the_mean():
    drop = GradDrop(seed=3)
    weights = drop.weigh(signed_gradients=SUMS)
    expected = weights.coordinates.numpy().mean(axis=1)
    np.testing.assert_allclose(weights.shared, expected)
    np.testing.assert_array_equal(weights.heads, 1.0)
    np.testing.assert_allclose(drop.task_weights, expected)


def test_an_absent_task_has_no_weight():
    kept = draws(GradDrop(leak=0.5, seed=0), 3, present=[0.0, 1.0])
    np.testing.assert_array_equal(kept[:, 0], 0.0)


def test_arguments_out_of_range():
    with pytest.raises(ValueError, match="`leak` must lie between 0 and 1"):
        GradDrop(leak=1.5)
    with pytest.raises(ValueError, match="must be 'representation'"):
        GradDrop(scope="shared")
