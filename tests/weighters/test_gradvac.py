import numpy as np
import pytest

from keras_mtl.weighters import GradVac, PCGrad
from tests.golden import golden
from tests.weighters.gramians import (
    expect_golden,
    family,
    random_jacobians,
    weigh_each,
    weigh_sequence,
)


def test_golden_updates():
    expect_golden(GradVac(shuffle=False), 1e-5, "GradVac", "torchjd")


@pytest.mark.parametrize(
    ("method", "momentum"), [("GradVac", 0.5), ("GradVac(0.01)", 0.99)]
)
def test_golden_sequence(method, momentum):
    gradvac = GradVac(momentum, shuffle=False)
    weights, expected, jacobians = weigh_sequence(gradvac, method)
    updates = np.einsum("tk,tkp->tp", weights, jacobians)
    expected = np.einsum("tk,tkp->tp", expected, jacobians)
    errors = np.linalg.norm(updates - expected, axis=1)
    assert (errors <= 1e-5 * np.linalg.norm(expected, axis=1)).all()
    assert len(golden("sequences")["J"]) == len(weights) == 10


def test_the_update_is_the_sum_of_the_turned_gradients():
    """By vectors, over 1,000 Gramians of all families, K = 5.

    With random usual cosines between -0.5 and 0.7. Relative to the weighted
    norms: worst 2e-5, of opposed gradients, and otherwise 3e-7; median 2e-8.
    """
    jacobians = random_jacobians()
    units = jacobians / np.linalg.norm(jacobians, axis=2, keepdims=True)
    usual = np.random.default_rng(0).uniform(-0.5, 0.7, size=(5, 5))
    usual = np.float64(np.float32(usual))
    updates = np.zeros_like(jacobians[:, 0])
    for task in range(5):
        vector = jacobians[:, task].copy()
        for other in set(range(5)) - {task}:
            length = np.linalg.norm(vector, axis=1)
            cosine = np.einsum("np,np->n", vector, units[:, other]) / length
            target = usual[task, other]
            sine = np.sqrt(np.maximum(1.0 - cosine**2, 0.0))
            rest = np.sqrt(1.0 - target**2)
            change = length * (target * sine - cosine * rest) / rest
            change = np.where(cosine < target, change, 0.0)
            vector += change[:, None] * units[:, other]
        updates += vector
    gramians = jacobians @ jacobians.transpose(0, 2, 1)
    weights = weigh_each(GradVac(shuffle=False), gramians, usual=usual)
    received = np.einsum("nk,nkp->np", weights, jacobians)
    norms = np.linalg.norm(jacobians, axis=2)
    gaps = np.linalg.norm(received - updates, axis=1)
    gaps /= np.einsum("nk,nk->n", weights, norms)
    assert gaps.max() <= 1e-4
    assert np.median(gaps) <= 1e-7
    for name in ("plain", "scaled", "dependent", "parallel"):
        assert family(name, gaps).max() <= 1e-6


def test_at_first_only_conflicts_are_resolved():
    """Against `PCGrad`, whose own numbers are the paper's."""
    for jacobian in random_jacobians()[:10]:
        gramian = jacobian @ jacobian.T
        np.testing.assert_allclose(
            GradVac(seed=3)(gramian=gramian),
            PCGrad(seed=3)(gramian=gramian),
            rtol=1e-5,
        )


def test_a_gradient_is_turned_to_the_usual_cosine():
    """After cosines of 0.8, one of -0.1 is made the 0.4 of the average."""
    gradvac = GradVac(shuffle=False)
    gradvac(gramian=[[1.0, 1.6], [1.6, 4.0]])
    np.testing.assert_allclose(gradvac.usual, [[0.0, 0.4], [0.4, 0.0]])
    weights = np.float64(gradvac(gramian=[[1.0, -0.2], [-0.2, 4.0]]))
    # By hand: each gains what takes its cosine to 0.4.
    added = 0.4 * np.sqrt(0.99 / 0.84) + 0.1
    np.testing.assert_allclose(weights, 1.0 + added * np.array([2.0, 0.5]))
    np.testing.assert_allclose(gradvac.usual, [[0, 0.15], [0.15, 0]])


def test_tiny_gradients_are_turned_too():
    """TorchJD and LibMTL stop at norms of 1e-8."""
    gramian = np.float32([[18.0, -22.0], [-22.0, 38.0]])
    expected = PCGrad()(gramian=gramian)
    for scale in (1e-20, 1e-10, 1e15):
        weights = GradVac()(gramian=scale * gramian)
        np.testing.assert_allclose(weights, expected, rtol=1e-5)


def test_absent_tasks_and_tasks_without_gradient_keep_their_cosines():
    gradvac = GradVac(shuffle=False)
    gradvac(gramian=np.full((3, 3), 0.5) + 0.5 * np.eye(3))
    usual = gradvac.usual.numpy()
    weights = gradvac(gramian=np.eye(3), present=[1.0, 0.0, 1.0]).numpy()
    kept = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]], bool)
    after = gradvac.usual.numpy()
    np.testing.assert_array_equal(after[kept], usual[kept])
    assert (after[~kept] < usual[~kept]).all()
    assert weights[1] == 0.0
    weights = gradvac(gramian=np.diag([1.0, 0.0, 1.0])).numpy()
    np.testing.assert_array_equal(gradvac.usual.numpy()[kept], usual[kept])
    assert weights[1] == 1.0


def test_errors():
    with pytest.raises(ValueError) as error:
        GradVac(momentum=1.0)
    assert str(error.value) == (
        "Argument `momentum` must be in the range [0, 1). "
        "Received: momentum=1.0"
    )
    with pytest.raises(ValueError) as error:
        GradVac(seed=-1)
    assert str(error.value) == (
        "Argument `seed` must be at least 0. Received: seed=-1"
    )
