import numpy as np
import pytest

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


@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_golden_with_averages(decay):
    """The update of LibMTL's class, whose first averages are 0."""
    case = golden("sequences")
    method = f"DBMTL(beta=0.9, sigma={decay})"
    updates = entry(method, "LibMTL", "sequences")["gradient"]
    weighter = DBMTL(momentum=0.9, decay=decay)
    assert weighter.scope == "last_shared_layer"
    for jacobian, losses, update in zip(
        np.array(case["J"]), case["losses"], updates, strict=True
    ):
        weights = weighter.weigh(losses=losses, gradients=jacobian)
        gap = np.linalg.norm(weights.rows.numpy().sum(0) - update)
        assert gap <= 1e-5 * np.linalg.norm(update)
        np.testing.assert_allclose(weights.heads * losses, 1.0, rtol=1e-6)
        norms = np.linalg.norm(weighter.averages, axis=1)
        np.testing.assert_allclose(
            weights.shared * losses * norms, norms.max(), rtol=1e-5
        )


def test_absent_tasks_keep_their_average():
    case = golden("sequences")
    first, second = np.array(case["J"])[:2]
    weighter = DBMTL(momentum=0.9)
    weighter.weigh(losses=case["losses"][0], gradients=first)
    before = weighter.averages.numpy()[2]
    second[2] = 0.0
    weights = weighter.weigh(
        losses=[1.0, 2.0, 0.0], gradients=second, present=[1.0, 1.0, 0.0]
    )
    np.testing.assert_array_equal(weighter.averages.numpy()[2], before)
    assert weights.shared[2] == weights.heads[2] == 0.0
    assert not weights.rows[2].numpy().any()


def test_arguments():
    with pytest.raises(ValueError, match=r"`momentum` must be in the range"):
        DBMTL(momentum=1.0)
    with pytest.raises(TypeError, match="must be called with `gradients`"):
        DBMTL(momentum=0.5)(losses=[1.0], gradient_norms=[1.0])
