import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.solvers import min_norm_point
from keras_mtl.weighters import MoCo
from tests.golden import entry, golden
from tests.weighters.by_row import call_by_row

CASE = golden("sequences")
JACOBIANS, LOSSES = np.array(CASE["J"]), np.array(CASE["losses"])


def test_golden():
    """LibMTL's shares and updates, by its projection."""
    found = entry("MoCo", "LibMTL", "sequences")
    moco = MoCo(projection="softmax")
    for jacobian, losses, shares, update in zip(
        JACOBIANS, LOSSES, found["weights"], found["gradient"], strict=True
    ):
        weights = moco.weigh(losses=losses, gradients=jacobian)
        np.testing.assert_allclose(moco.shares, shares, atol=1e-5)
        gap = np.linalg.norm(weights.rows.numpy().sum(0) - update)
        assert gap <= 1e-5 * np.linalg.norm(update)
        lengths = losses / np.linalg.norm(jacobian, axis=1)
        np.testing.assert_allclose(weights.shared, shares * lengths, rtol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_it_ends_at_the_shortest_combination_of_noisy_gradients(seed):
    """Of the expected gradients; that of one batch's is 5 % or more away."""
    random = np.random.default_rng(seed)
    jacobian = random.normal(size=(4, 6))
    moco = MoCo(0.3, 0.5, step_size=0.05, step_decay=0.0, normalize=False)
    moco.bind(4, sizes={"number": 6})
    noisy = jacobian + 0.3 * random.normal(size=(800, 4, 6))

    def rows_of(gradients):
        return moco.weigh(losses=tf.ones(4), gradients=gradients).rows

    rows = call_by_row(rows_of, {"gradients": noisy})[-1]
    best = min_norm_point(jacobian @ jacobian.T).weights.numpy() @ jacobian
    least = np.linalg.norm(best)
    assert np.linalg.norm(rows.sum(0) - best) < 0.1 + 0.05 * least


def test_the_euclidean_projection_and_regularization():
    """One step by hand: `0.5 - 0.2 (g + 1) 0.5`, brought back to sum 1."""
    moco = MoCo(1.0, step_size=0.2, regularization=1.0, normalize=False)
    weights = moco(losses=[1.0, 1.0], gradients=[[1.0, 0.0], [0.0, 2.0]])
    np.testing.assert_allclose(weights, [0.65, 0.35], rtol=1e-6)


def test_absent_tasks_come_back_with_what_they_had():
    moco, smaller = MoCo(), MoCo()
    shares = {}
    for step, present in enumerate(([1, 1, 1], [1, 1, 0], [1, 1, 1])):
        jacobian = JACOBIANS[step] * np.array(present)[:, None]
        losses = LOSSES[step] * present
        weights = moco.weigh(losses=losses, gradients=jacobian, present=present)
        shares[step] = moco.shares.numpy(), moco.tracked.numpy()
        np.testing.assert_allclose(shares[step][0].sum(), 1.0, rtol=1e-6)
        if step == 1:
            gone = [weights.shared[2], *weights.rows[2].numpy()]
            np.testing.assert_array_equal(gone, 0.0)
    for kept, before in zip(shares[1], shares[0], strict=True):
        np.testing.assert_array_equal(kept[2], before[2])
    np.testing.assert_array_equal(moco.steps, [3.0, 3.0, 2.0])
    first = {"losses": LOSSES[0], "gradients": JACOBIANS[0]}
    present = [1.0, 1.0, 0.0]
    received = MoCo()(**first, present=present)
    expected = smaller(**{n: v[:2] for n, v in first.items()})
    np.testing.assert_allclose(received, [*expected, 0.0], rtol=1e-6)


def test_at_the_representation_the_update_is_todays():
    moco, at_layer = MoCo(scope="representation"), MoCo()
    first = {"losses": LOSSES[0], "gradients": JACOBIANS[0]}
    weights, expected = moco.weigh(**first), at_layer.weigh(**first)
    assert weights.rows is None
    np.testing.assert_array_equal(weights.shared, expected.shared)


def test_arguments_out_of_range():
    with pytest.raises(ValueError, match="`rate` must lie between 0 and 1"):
        MoCo(rate=1.5)
    with pytest.raises(ValueError, match="`step_size` must be greater than 0"):
        MoCo(step_size=0.0)
    with pytest.raises(ValueError, match="Did you mean 'softmax'"):
        MoCo(projection="soft")
