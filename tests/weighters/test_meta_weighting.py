import numpy as np
import pytest

from keras_mtl.weighters import MetaWeighting


def test_weights_start_at_1_and_change_only_after_an_update():
    meta = MetaWeighting(step_size=0.1)
    for _ in range(2):
        np.testing.assert_array_equal(meta(losses=[0.3, 0.4]), [1.0, 1.0])
    after = meta.observe([[2.0, 0.0], [0.0, 2.0]], learning_rate=0.1)
    np.testing.assert_allclose(after, [1.005, 1.005], rtol=1e-6)
    np.testing.assert_array_equal(meta(losses=[0.3, 0.4]), after)
    np.testing.assert_array_equal(meta.task_weights, after)


def test_observe_may_come_first():
    weights = MetaWeighting().observe(
        query_support_gramian=np.eye(3), learning_rate=1e-3
    )
    np.testing.assert_allclose(weights, 1 + 1e-4 / 9, rtol=1e-7)


# On quadratic losses |θ - c_t|² / 2, as DESIGN's objective Σ w L has it:
# ∂L_t(θ - η Σ w_j g_j)/∂w_j = K d_t[j].
def test_hypergradient_agrees_with_finite_differences():
    random = np.random.default_rng(0)
    num_tasks, rate = 3, 0.1
    support, query = random.normal(size=(2, num_tasks, 4))
    theta = random.normal(size=4)

    def new(weights):
        return theta - rate * weights @ (theta - support)

    def query_losses(weights):
        return 0.5 * np.sum((new(weights) - query) ** 2, axis=1)

    ones, eps = np.ones(num_tasks), 1e-5
    numeric = np.stack(
        [
            (query_losses(ones + e) - query_losses(ones - e)) / (2 * eps)
            for e in eps * np.eye(num_tasks)
        ],
        axis=1,
    )
    matrix = (new(ones) - query) @ (theta - support).T
    # One row at a time, as the only task with query labels.
    for task in range(num_tasks):
        meta = MetaWeighting(step_size=0.5)
        moved = meta.observe(matrix, rate, present=np.eye(num_tasks)[task])
        expected = 1 - 0.5 * numeric[task] / num_tasks
        np.testing.assert_allclose(moved, expected, rtol=1e-6)


def test_a_step_lowers_every_query_loss_to_first_order():
    random = np.random.default_rng(0)
    meta = MetaWeighting(step_size=1.0)
    for _ in range(20):
        matrix = random.normal(size=(3, 5)) @ random.normal(size=(5, 3))
        before = meta(losses=np.ones(3)).numpy()
        step = meta.observe(matrix, learning_rate=1.0).numpy() - before
        # The hypergradients are -matrix / K.
        assert (matrix @ step >= -1e-4 * np.abs(matrix).max()).all()
        assert meta.solver_gap.numpy() <= 1e-6


@pytest.mark.parametrize("scale", [1e-25, 1e15])
def test_the_solver_does_not_under_or_overflow(scale):
    # One row twice as long: λ = [0.8, 0.2].
    matrix = scale * np.diag([1.0, 2.0])
    moved = MetaWeighting(step_size=1.0).observe(matrix, 0.5 / scale)
    np.testing.assert_allclose(moved, [1.2, 1.1], rtol=1e-5)


def test_steps_below_the_resolution_add_up():
    meta = MetaWeighting(step_size=0.1)
    for _ in range(100):
        weights = meta.observe(np.eye(2), learning_rate=2e-7)
    np.testing.assert_allclose(weights - 1, 5e-7, rtol=0.1)


def test_absent_tasks():
    matrix = np.array([[1.0, 0.5, 0.0], [0.5, 2.0, 0.0], [0.3, 0.2, 0.0]])
    meta = MetaWeighting(step_size=1.0)
    # Task 2 has no support label: its column is 0.
    moved = meta.observe(matrix, 1.0).numpy()
    assert moved[2] == 1.0
    # Task 2 has no query label: its row is not read.
    matrix[2] = 1e6
    moved = MetaWeighting(step_size=1.0).observe(matrix, 1.0, [1, 1, 0])
    matrix[2] = 0.0
    again = MetaWeighting(step_size=1.0).observe(matrix, 1.0, [1, 1, 0])
    np.testing.assert_array_equal(moved, again)
    nothing = MetaWeighting().observe(matrix, 1.0, [0, 0, 0])
    np.testing.assert_array_equal(nothing, np.ones(3))


def test_nonnegative_clips():
    matrix = -30.0 * np.eye(2)
    free = MetaWeighting(step_size=1.0)
    np.testing.assert_allclose(free.observe(matrix, 1.0), [-6.5, -6.5])
    clipped = MetaWeighting(step_size=1.0, nonnegative=True)
    np.testing.assert_array_equal(clipped.observe(matrix, 1.0), [0, 0])
    np.testing.assert_allclose(clipped.observe(-matrix, 1.0), [7.5, 7.5])


def test_declares_its_signals():
    meta = MetaWeighting()
    assert meta.needs == ("losses",)
    assert set(meta.observes) == {
        "query_support_gramian",
        "learning_rate",
        "present",
    }
    assert meta.scope == "all"


def test_through_the_optimizer():
    """What SGD of that rate makes of the gradients moves it alike."""
    matrix = np.array([[2.0, 0.5], [-0.3, 1.0]])
    published = MetaWeighting(step_size=0.5).observe(matrix, 0.01)
    meta = MetaWeighting(step_size=0.5, through="optimizer")
    assert meta.observes == ("query_loss_falls", "present")
    moved = meta.observe(query_loss_falls=0.01 * matrix)
    np.testing.assert_allclose(moved, published, rtol=1e-6)
    again = MetaWeighting.from_config(meta.get_config())
    assert again.through == "optimizer"
    with pytest.raises(ValueError) as error:
        again.observe(matrix, 0.01)
    assert str(error.value) == (
        "MetaWeighting(through='optimizer') observes the signals "
        "['query_loss_falls', 'present'], and one of them is missing."
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"through": "adam"},
            "Argument `through` must be one of ['sgd', 'optimizer']. "
            "Received: through='adam'.",
        ),
        (
            {"step_size": 0.0},
            "Argument `step_size` must be greater than 0. "
            "Received: step_size=0.0",
        ),
        (
            {"max_iterations": 2.5},
            "Argument `max_iterations` must be an integer. "
            "Received: max_iterations=2.5",
        ),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError) as error:
        MetaWeighting(**arguments)
    assert str(error.value) == message
