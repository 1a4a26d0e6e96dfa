import numpy as np
import pytest

from keras_mtl.weighters import MetaBalance


@pytest.mark.parametrize("primary", [None, 2])
@pytest.mark.parametrize(("relax", "momentum"), [(0.7, 0.9), (1.0, 0.0)])
def test_weights_follow_the_formula(primary, relax, momentum):
    """`m = β m + (1 - β) n` from 0, `w_k = r m_p / m_k + 1 - r` (float64)."""
    norms = np.exp(np.random.default_rng(0).normal(size=(30, 4)))
    weighter = MetaBalance(primary, relax, momentum)
    average, main = np.zeros(4), primary or 0
    for row in norms:
        average = momentum * average + (1 - momentum) * row
        expected = relax * average[main] / average + 1 - relax
        expected[main] = 1.0
        weights = weighter(gradient_norms=row)
        np.testing.assert_allclose(weights, expected, rtol=1e-5)


def test_a_late_task_is_compared_with_an_average_of_its_own_steps():
    weighter = MetaBalance(relax=1.0)
    for _ in range(20):
        weighter(gradient_norms=[3.0, 1.0, 0.0], present=[1.0, 1.0, 0.0])
    weights = weighter(gradient_norms=[3.0, 1.0, 6.0])
    np.testing.assert_allclose(weights, [1.0, 3.0, 0.5], rtol=1e-5)


def test_absent_tasks():
    weighter = MetaBalance(relax=1.0)
    weights = weighter(gradient_norms=[0.0, 2.0], present=[0.0, 1.0])
    np.testing.assert_array_equal(weights, [0.0, 1.0])  # No norm to come near.
    weighter(gradient_norms=[4.0, 2.0])
    weights = weighter(gradient_norms=[0.0, 2.0], present=[0.0, 1.0])
    np.testing.assert_allclose(weights, [0.0, 2.0], rtol=1e-5)


def test_arguments_out_of_range():
    with pytest.raises(ValueError, match="`relax` must lie between 0 and 1"):
        MetaBalance(relax=1.5)
    with pytest.raises(ValueError, match=r"`momentum` must be in the range"):
        MetaBalance(momentum=1.0)
