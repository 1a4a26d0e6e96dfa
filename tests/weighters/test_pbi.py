import numpy as np
import pytest

from keras_mtl.weighters import PBI
from tests.golden import golden_losses, golden_weights


def objective(losses, ray, penalty):
    ray = ray / np.linalg.norm(ray)
    along = ray @ losses
    return along + penalty * np.linalg.norm(losses - along * ray)


def test_golden():
    losses, _ = golden_losses()
    pbi = PBI([1 / 6, 2 / 6, 3 / 6])
    received = [pbi(losses=row) for row in losses]
    expected = golden_weights("PBI", "torchjd")
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-6)


def test_weights_are_the_gradient_of_the_objective():
    """By central differences, over losses of four decades."""
    random = np.random.default_rng(0)
    for _ in range(20):
        losses, ray = np.exp(random.normal(scale=2.0, size=(2, 4)))
        ideal = 0.5 * losses.min()
        pbi = PBI(list(ray), penalty=3.0, ideal=ideal)
        excess = losses - ideal
        steps = 1e-5 * np.diag(excess + losses.max())
        expected = [
            (objective(excess + s, ray, 3.0) - objective(excess - s, ray, 3.0))
            / (2 * s.sum())
            for s in steps
        ]
        np.testing.assert_allclose(
            pbi(losses=losses), expected, rtol=1e-4, atol=1e-4
        )


def test_weights_do_not_depend_on_the_unit():
    """The formula's 1e-12 would switch the penalty off for small losses."""
    expected = PBI([1.0, 2.0])(losses=[1.0, 3.0])
    for scale in (1e-10, 1e15):
        received = PBI([1.0, 2.0])(losses=[scale, 3.0 * scale])
        np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_on_the_ray_only_progress_counts():
    received = PBI([3.0, 4.0])(losses=[0.3, 0.4])
    np.testing.assert_allclose(received, [0.6, 0.8], rtol=1e-6)


def test_an_absent_task_is_no_part_of_the_ray():
    pbi = PBI([1.0, 2.0, 3.0])
    received = pbi(losses=[1.0, 3.0, 0.0], present=[1.0, 1.0, 0.0])
    expected = PBI([1.0, 2.0])(losses=[1.0, 3.0])
    np.testing.assert_allclose(received, [*expected, 1.0], rtol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match="`penalty` must be at least 0"):
        PBI(penalty=-1.0)
    with pytest.raises(ValueError, match="one entry for each of the 2 tasks"):
        PBI(ideal=[0.0, 1.0, 2.0]).bind(2, ("a", "b"))
