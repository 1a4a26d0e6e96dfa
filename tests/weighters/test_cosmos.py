import numpy as np
import pytest

from keras_mtl.weighters import COSMOS
from tests.golden import golden_losses, golden_weights


def objective(losses, ray, penalty):
    cosine = ray @ losses / np.linalg.norm(ray) / np.linalg.norm(losses)
    return ray @ losses - penalty * cosine


def test_golden():
    losses, _ = golden_losses()
    cosmos = COSMOS([1 / 6, 2 / 6, 3 / 6])
    received = [cosmos(losses=row) for row in losses]
    expected = golden_weights("COSMOS", "torchjd")
    np.testing.assert_allclose(received, expected, atol=1e-6)


def test_weights_are_the_gradient_of_the_objective():
    """By central differences, over losses of four decades."""
    random = np.random.default_rng(0)
    for _ in range(20):
        losses, ray = np.exp(random.normal(scale=2.0, size=(2, 4)))
        cosmos = COSMOS(list(ray), penalty=3.0)
        steps = 1e-5 * np.diag(losses)
        expected = [
            (objective(losses + s, ray, 3.0) - objective(losses - s, ray, 3.0))
            / (2 * s.sum())
            for s in steps
        ]
        np.testing.assert_allclose(
            cosmos(losses=losses), expected, rtol=1e-4, atol=1e-5 * max(ray)
        )


def test_without_penalty_and_in_the_preferred_proportions():
    ray = [1.0, 2.0, 0.5]
    received = COSMOS(ray, penalty=0.0)(losses=[3.0, 0.1, 7.0])
    np.testing.assert_array_equal(received, ray)
    received = COSMOS(ray)(losses=[2.0, 4.0, 1.0])
    np.testing.assert_allclose(received, ray, rtol=1e-6)


def test_an_absent_task_is_no_part_of_the_proportions():
    cosmos = COSMOS([1.0, 2.0, 3.0])
    received = cosmos(losses=[1.0, 3.0, 0.0], present=[1.0, 1.0, 0.0])
    expected = COSMOS([1.0, 2.0])(losses=[1.0, 3.0])
    np.testing.assert_allclose(received, [*expected, 1.0], rtol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match="`penalty` must be at least 0"):
        COSMOS(penalty=-1.0)
    with pytest.raises(ValueError, match="above 0 for at least one task"):
        COSMOS([0.0, 0.0])
