import numpy as np

from keras_mtl.weighters import DBMTL
from tests.golden import entry, golden


def test_golden():
    """The update of LibMTL's class at beta 0, whose gradients are `J`."""
    case = golden("sequences")
    method = "DBMTL(beta=0.0, sigma=0.0)"
    updates = entry(method, "LibMTL", "sequences")["gradient"]
    assert len(updates) == len(case["J"])
    weighter = DBMTL()
    for jacobian, losses, update in zip(
        np.array(case["J"]), case["losses"], updates, strict=True
    ):
        norms = np.linalg.norm(jacobian, axis=1)
        weights = weighter(losses=losses, gradient_norms=norms)
        received = jacobian.T @ np.float64(weights)
        gap = np.linalg.norm(received - update) / np.linalg.norm(update)
        assert gap < 1e-5


def test_weighted_gradients_have_the_largest_norm_of_log_gradients():
    random = np.random.default_rng(0)
    for _ in range(50):
        losses, norms = np.exp(random.normal(scale=2, size=(2, 6)))
        weights = DBMTL().weigh(losses=losses, gradient_norms=norms)
        largest = (norms / losses).max()
        np.testing.assert_allclose(weights.shared * norms, largest, rtol=1e-4)
        np.testing.assert_allclose(weights.heads * losses, 1.0, rtol=1e-4)


def test_tasks_without_label_or_gradient_have_no_weight():
    weights = DBMTL().weigh(
        losses=[1.0, 2.0, 0.0, 4.0],
        gradient_norms=[1.0, 4.0, 0.0, 0.0],
        present=[1.0, 1.0, 0.0, 1.0],
    )
    np.testing.assert_allclose(weights.shared, [2.0, 0.5, 0.0, 0.0])
    np.testing.assert_allclose(weights.heads, [1.0, 0.5, 0.0, 0.25])
