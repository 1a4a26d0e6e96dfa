import numpy as np
import pytest

from keras_mtl.weighters import MGDA
from tests.reference import make_data, make_model
from tests.weighters.gramians import random_jacobians, weigh_each

# J = [[-4, 1, 1], [6, 1, 1]], the reference case of METHODS.md.
GRAMIAN = np.array([[18.0, -22.0], [-22.0, 38.0]])


def test_reference_case():
    np.testing.assert_allclose(MGDA()(gramian=GRAMIAN), [0.6, 0.4], rtol=1e-6)


def test_orthogonal_gradients_weigh_by_inverse_square():
    squares = np.array([1.0, 2.0, 4.0])
    expected = 1 / squares / np.sum(1 / squares)
    weights = MGDA()(gramian=np.diag(squares))
    np.testing.assert_allclose(weights, expected, rtol=1e-5)


@pytest.mark.parametrize("num_tasks", [2, 3, 8])
def test_combined_gradient_opposes_no_task(num_tasks):
    random = np.random.default_rng(0)
    mgda = MGDA()
    for _ in range(10):
        scales = np.exp(random.normal(size=(num_tasks, 1)))
        jacobian = scales * random.normal(size=(num_tasks, 6))
        gramian = jacobian @ jacobian.T
        weights = np.float64(mgda(gramian=gramian))
        np.testing.assert_allclose(weights.sum(), 1.0, rtol=1e-6)
        combined = weights @ gramian @ weights
        slack = 2e-6 * np.trace(gramian) / num_tasks
        assert (gramian @ weights >= combined - slack).all()
        assert mgda.solver_gap.numpy() <= 1e-6


def test_normalised_search_weighs_the_plain_gradients():
    losses = np.array([2.0, 0.5])
    norms = np.sqrt(np.diag(GRAMIAN))
    for normalize, sizes in [
        ("l2", norms),
        ("loss", losses),
        ("loss+", losses * norms),
    ]:
        expected = MGDA()(gramian=GRAMIAN / np.outer(sizes, sizes))
        weights = MGDA(normalize)(gramian=GRAMIAN, losses=losses)
        np.testing.assert_allclose(weights, expected, rtol=1e-5)
    # Unit rows make an isosceles triangle.
    np.testing.assert_allclose(MGDA("l2")(gramian=GRAMIAN), 0.5, rtol=1e-5)


@pytest.mark.parametrize("normalize", [None, "l2", "loss", "loss+"])
def test_absent_task_weighs_nothing(normalize):
    gramian = np.zeros((3, 3))
    gramian[::2, ::2] = GRAMIAN
    weights = MGDA(normalize)(
        gramian=gramian, losses=[2.0, 0.0, 0.5], present=[1.0, 0.0, 1.0]
    ).numpy()
    two = MGDA(normalize)(gramian=GRAMIAN, losses=[2.0, 0.5])
    assert weights[1] == 0.0
    np.testing.assert_allclose(weights[::2], two, rtol=1e-5)


def test_the_gap_of_a_capped_search_is_kept():
    random = np.random.default_rng(0)
    jacobian = random.normal(size=(10, 12)) * np.arange(1, 11)[:, None]
    mgda = MGDA(max_iterations=1)
    mgda(gramian=jacobian @ jacobian.T)
    largest = mgda.solver_gap.numpy()
    assert largest > 1e-6
    mgda(gramian=np.eye(10))
    assert mgda.solver_gap.numpy() == largest


def test_a_solver_that_gave_up_in_any_step_is_told():
    """The last batch of an epoch, of identical tasks, is an easy one."""
    x, y = make_data(5, rows=16, outputs=1)
    for labels in y.values():
        labels[8:] = y["task_0"][8:]
    model = make_model(5, outputs=1)
    model.compile("sgd", loss="mse", weighter=MGDA(max_iterations=1))
    settings = {"batch_size": 8, "shuffle": False, "verbose": 0}
    with pytest.warns(UserWarning, match="MGDA's solver stopped with gap"):
        model.fit(x, y, **settings)
    model.fit(x, y, weighter=MGDA(), **settings)


def test_needs_losses_only_to_divide_by_them():
    assert set(MGDA().needs) == {"gramian", "present"}
    assert set(MGDA("l2").needs) == {"gramian", "present"}
    assert set(MGDA("loss").needs) == {"gramian", "present", "losses"}
    assert set(MGDA("loss+").needs) == {"gramian", "present", "losses"}
    assert MGDA().scope == "auto"
    assert not MGDA.scales_heads


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"normalize": "l1"},
            "Argument `normalize` must be one of [None, 'l2', 'loss', "
            "'loss+']. Received: normalize='l1'. Did you mean 'l2'?",
        ),
        (
            {"max_iterations": 0},
            "Argument `max_iterations` must be at least 1. "
            "Received: max_iterations=0",
        ),
        (
            {"tolerance": 0.0},
            "Argument `tolerance` must be greater than 0. "
            "Received: tolerance=0.0",
        ),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError) as error:
        MGDA(**arguments)
    assert str(error.value) == message


def test_error_without_losses():
    # Keras adds the arguments of the call to the message.
    with pytest.raises(ValueError) as error:
        MGDA("loss")(gramian=GRAMIAN)
    assert (
        "MGDA(normalize='loss') needs the signal `losses`. "
        "Received: losses=None"
    ) in str(error.value)


def test_no_combination_is_shorter():
    """KKT over 1,000 Gramians of all families, K = 5.

    By how much a task's gain is below the squared length, in units of the mean
    squared norm: worst 5e-8, median 8e-9.
    """
    jacobians = random_jacobians()
    gramians = jacobians @ jacobians.transpose(0, 2, 1)
    weights = weigh_each(MGDA(), gramians)
    assert (weights >= 0.0).all()
    np.testing.assert_allclose(weights.sum(1), 1.0, atol=1e-6)
    gains = np.einsum("nij,nj->ni", gramians, weights)
    squares = np.einsum("ni,ni->n", gains, weights)
    gaps = (squares - gains.min(1)) / np.einsum("nii->n", gramians) * 5
    assert gaps.max() <= 1e-6
    assert np.median(gaps) <= 1e-7
