import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.solvers import eigh

compiled = tf.function(eigh, jit_compile=True)


@pytest.mark.parametrize(
    ("spectrum", "tolerance"),
    [
        ([1.0], 1e-14),
        ([0.0, 3.0], 1e-14),
        ([1e-9, 1e-5, 1e-3, 0.1, 1.0, 2.0], 1e-13),
        # Clusters: any basis of theirs will do.
        ([0.0, 0.0, 1.0, 1.0, 1.0, 4.0], 1e-13),
        # Too near to be told apart after XLA's 1e-7: one cluster.
        ([1.0, 1.0 + 1e-9, 1.0 + 2e-9], 2e-9),
    ],
)
def test_xla_comes_near_float64(spectrum, tolerance):
    """XLA's `eigh` alone is up to 2e-6 off; NumPy's agrees to 1e-15."""
    random = np.random.default_rng(0)
    size = len(spectrum)
    basis, _ = np.linalg.qr(random.normal(size=(size, size)))
    matrix = basis * spectrum @ basis.T
    matrix = (matrix + matrix.T) / 2.0
    for function in (eigh, compiled):
        values, vectors = (part.numpy() for part in function(matrix))
        np.testing.assert_allclose(
            values, np.linalg.eigvalsh(matrix), atol=tolerance
        )
        np.testing.assert_allclose(
            vectors.T @ vectors, np.eye(size), atol=1e-13
        )
        np.testing.assert_allclose(
            vectors * values @ vectors.T, matrix, atol=tolerance
        )


def test_a_matrix_that_is_not_finite_is_told():
    """LAPACK raises, which would end a training that skips such a step."""
    matrix = np.full((3, 3), np.nan)
    assert np.isnan(eigh(matrix)[0]).all()
