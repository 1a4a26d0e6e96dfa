import itertools

import numpy as np
import pytest

from keras_mtl.weighters import MOML
from tests.weighters.adam import Adam
from tests.weighters.by_row import call_by_row


def softmax(logits):
    odds = np.exp(logits - logits.max())
    return odds / odds.sum()


def shortest(rows):
    """Returns the shortest vector of the convex hull, of all its faces' own."""
    found = []
    for size in range(1, len(rows) + 1):
        for face in itertools.combinations(rows, size):
            # Barycentric coordinates of the point next to 0.
            system = np.vstack([1e3 * np.ones(size), np.stack(face, axis=1)])
            target = np.array([1e3, *np.zeros(rows.shape[1])])
            weights, *_ = np.linalg.lstsq(system, target, rcond=None)
            if (weights >= -1e-9).all():
                found.append(weights / weights.sum() @ np.stack(face))
    return min(found, key=np.linalg.norm)


def test_logits_follow_the_hypergradients_by_finite_differences():
    """On quadratic losses, whose query losses are differenced in the logits."""
    random = np.random.default_rng(0)
    num_tasks, rate = 3, 0.1
    moml = MOML(learning_rate=0.01, tolerance=1e-10)
    adam, logits = Adam(num_tasks), np.zeros(num_tasks)
    theta = random.normal(size=4)
    for _ in range(40):
        support, query = random.normal(size=(2, num_tasks, 4))

        def new(logits, theta=theta, support=support):
            weights = num_tasks * softmax(logits)
            return theta - rate * weights @ (theta - support)

        def query_losses(logits, new=new, query=query):
            return 0.5 * np.sum((new(logits) - query) ** 2, axis=1)

        received = moml(losses=np.ones(num_tasks)).numpy()
        np.testing.assert_allclose(
            received, num_tasks * softmax(logits), rtol=1e-5
        )
        rows = np.stack(
            [
                (query_losses(logits + e) - query_losses(logits - e)) / 2e-5
                for e in 1e-5 * np.eye(num_tasks)
            ],
            axis=1,
        )
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        matrix = (new(logits) - query) @ (theta - support).T
        moml.observe(matrix)
        theta = new(logits)
        step = shortest(rows)
        step *= np.linalg.norm(step) > 1e-5
        logits = logits - 0.01 * adam.direction(step)


def test_weights_are_positive_and_sum_to_k_after_many_updates():
    random = np.random.default_rng(0)
    moml = MOML(learning_rate=0.5)
    moml.bind(4)
    matrices = random.normal(size=(200, 4, 4)) + np.eye(4)
    weights = call_by_row(moml.observe, {"query_support_gramian": matrices})
    np.testing.assert_allclose(weights.sum(axis=1), 4.0, rtol=1e-5)
    assert (weights > 0.0).all()


def test_a_task_without_support_labels_keeps_its_weight():
    moml = MOML(learning_rate=0.1)
    random = np.random.default_rng(1)
    for _ in range(3):
        moml.observe(random.normal(size=(3, 3)))
    before = moml.task_weights.numpy()
    matrix = random.normal(size=(3, 3))
    matrix[:, 2] = 0.0
    after = moml.observe(matrix).numpy()
    np.testing.assert_allclose(after[2], before[2], rtol=1e-6)
    np.testing.assert_allclose(after.sum(), 3.0, rtol=1e-6)
    assert abs(after[0] - before[0]) > 1e-3


def test_the_scale_of_the_signals_does_not_count():
    """Rows are divided by their norms."""
    matrix = np.random.default_rng(2).normal(size=(3, 3))
    plain = MOML().observe(matrix)
    scaled = MOML().observe(matrix * [[1e-10], [1.0], [1e15]])
    np.testing.assert_allclose(scaled, plain, rtol=1e-6)


def test_equal_entries_move_nothing():
    np.testing.assert_array_equal(MOML().observe(np.full((3, 3), 0.7)), 1.0)


def test_argument_out_of_range():
    with pytest.raises(ValueError, match="`learning_rate` must be greater"):
        MOML(learning_rate=0.0)
