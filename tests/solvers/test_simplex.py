import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.solvers import simplex_projection

project = tf.function(simplex_projection, jit_compile=True)


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        # By hand: what exceeds 1 is taken off all that stay positive.
        ([2.0, 0.0], [1.0, 0.0]),
        ([0.9, 0.7], [0.6, 0.4]),
        ([0.5, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]),
        ([-5.0, -5.2, -9.0], [0.6, 0.4, 0.0]),
        ([7.0], [1.0]),
    ],
)
def test_by_hand(point, expected):
    point = np.float64(point)
    for function in (simplex_projection, project):
        np.testing.assert_allclose(function(point), expected, atol=1e-12)


def test_no_vertex_lies_in_the_direction_of_the_point():
    """The condition of a projection, over 200 points at three scales."""
    random = np.random.default_rng(0)
    for scale in (1e-3, 1.0, 1e3):
        for point in scale * random.normal(size=(70, 6)):
            nearest = project(point).numpy()
            assert nearest.min() >= 0.0
            assert nearest.sum() == pytest.approx(1.0, abs=1e-12 * (1 + scale))
            ahead = (point - nearest) @ (np.eye(6) - nearest).T
            assert ahead.max() <= 1e-12 * (1 + scale)
