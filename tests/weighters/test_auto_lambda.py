import numpy as np
import pytest

from keras_mtl.weighters import AutoLambda
from tests.weighters.adam import Adam


@pytest.mark.parametrize("primary", [None, 1])
def test_weights_follow_the_hypergradient_by_finite_differences(primary):
    """On quadratic losses, whose query loss is differenced in the weights."""
    random = np.random.default_rng(0)
    num_tasks, rate, steps = 3, 0.1, 40
    auto = AutoLambda(primary, learning_rate=0.01)
    adam, weights = Adam(num_tasks), np.full(num_tasks, 0.1)
    main = slice(None) if primary is None else slice(primary, primary + 1)
    theta = random.normal(size=4)
    for _ in range(steps):
        support, query = random.normal(size=(2, num_tasks, 4))

        def new(weights, theta=theta, support=support):
            return theta - rate * weights @ (theta - support)

        def query_loss(weights, new=new, query=query):
            return 0.5 * np.sum((new(weights) - query)[main] ** 2)

        received = auto(losses=np.ones(num_tasks)).numpy()
        np.testing.assert_allclose(received, weights, rtol=1e-5)
        eps = 1e-5 * np.eye(num_tasks)
        hypergradient = np.array(
            [
                (query_loss(weights + e) - query_loss(weights - e)) / 2e-5
                for e in eps
            ]
        )
        matrix = (new(weights) - query) @ (theta - support).T
        after = auto.observe(matrix, learning_rate=rate).numpy()
        theta = new(weights)
        weights = weights - 0.01 * adam.direction(hypergradient)
        np.testing.assert_allclose(after, weights, rtol=1e-5)


def test_a_task_that_harms_the_main_one_is_unlearned():
    auto = AutoLambda(primary=0, learning_rate=0.01)
    for _ in range(30):
        weights = auto.observe([[2.0, -1.0, 1.0], [1, 2, 1], [1, 1, 2]], 0.1)
    first, second, third = weights.numpy()
    assert second < 0.0 < first
    assert third > 0.3


def test_a_task_without_support_labels_keeps_its_weight():
    auto = AutoLambda(learning_rate=0.01)
    auto.observe([[1.0, 1.0], [1.0, 1.0]], 0.1)
    before = auto.task_weights.numpy()
    after = auto.observe([[1.0, 0.0], [1.0, 0.0]], 0.1).numpy()
    assert after[1] == before[1]
    assert after[0] > before[0]


def test_query_labels_of_the_main_task_are_enough():
    auto, other = AutoLambda(primary=0), AutoLambda(primary=0)
    full, partial = [[1.0, 2.0], [3.0, 4.0]], [[1.0, 2.0], [0.0, 0.0]]
    np.testing.assert_array_equal(
        auto.observe(full, 0.1), other.observe(partial, 0.1)
    )


def test_arguments_out_of_range():
    with pytest.raises(ValueError, match="`learning_rate` must be greater"):
        AutoLambda(learning_rate=0.0)
    with pytest.raises(ValueError, match="`initial` must be a finite number"):
        AutoLambda(initial=np.inf)
