import time

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

from keras_mtl.solvers import min_norm_point


def scaled(rng, k, p):
    return rng.normal(size=(k, p)) * 10 ** rng.uniform(-4, 4, size=(k, 1))


FAMILIES = {
    "wide": lambda rng, k: rng.normal(size=(k, 4 * k)),
    "square": lambda rng, k: rng.normal(size=(k, k)),
    "tall": lambda rng, k: rng.normal(size=(k, max(1, k // 2))),
    "correlated": lambda rng, k: rng.normal(size=(k, k)) + 1.0,
    "rank_one": lambda rng, k: np.outer(rng.normal(size=k), np.ones(5)),
    "duplicated": lambda rng, k: rng.normal(size=(k, k))[np.arange(k) // 2],
    "scaled_rows": lambda rng, k: scaled(rng, k, 2 * k),
    "scaled_low_rank": lambda rng, k: scaled(rng, k, max(1, k // 2)),
    "a_zero_row": lambda rng, k: np.tri(k, k, -1),
    "huge": lambda rng, k: rng.normal(size=(k, k)) * 1e8,
    "tiny": lambda rng, k: rng.normal(size=(k, k)) * 1e-8,
    "zero": lambda rng, k: np.zeros((k, 1)),
}
SIZES = (2, 3, 5, 10, 30, 128)
METHODS = ("fully_corrective", "pairwise", "frank_wolfe")
GOLDEN = [[18.0, -22.0], [-22.0, 38.0]]

compiled = tf.function(min_norm_point, jit_compile=True)


@tf.function(jit_compile=True)
def masked(gramian, present):
    return min_norm_point(gramian, present=present)


def jacobian(family, size, seed):
    return FAMILIES[family](np.random.default_rng([seed, size]), size)


def gramian_of(rows):
    return (rows @ rows.T).astype(np.float32)


def true_gap(gramian, weights):
    """The duality gap over the mean squared norm, in float64."""
    gramian, weights = np.float64(gramian), np.float64(weights)
    slopes = gramian @ weights
    mean = np.trace(gramian) / len(gramian)
    return (weights @ slopes - slopes.min()) / mean if mean else 0.0


def reference(rows):
    """Exact float64 weights, by non-negative least squares.

    With `x >= 0` free of the simplex, minimise `|x @ rows|^2 + (a @ x - 1)^2`
    where the task norms are divided out; `a * x` is parallel to the answer.
    """
    norms = np.linalg.norm(rows, axis=1)
    if not norms.min():
        return (norms == 0) / (norms == 0).sum()
    a = norms.min() / norms
    system = np.concatenate([rows / norms[:, None], a[:, None]], 1).T
    target = np.eye(len(system))[-1]
    weights = a * nnls(system, target, maxiter=10000)[0]
    return weights / weights.sum()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("family", FAMILIES)
def test_reaches_the_optimum(family, size):
    for seed in range(2 if size == 128 else 8):
        rows = jacobian(family, size, seed)
        gramian = gramian_of(rows)
        weights, gap, _ = compiled(tf.constant(gramian))
        weights = weights.numpy()
        assert weights.dtype == np.float32
        assert weights.min() >= 0.0
        assert np.float64(weights).sum() == pytest.approx(1.0, abs=1e-6)
        assert true_gap(gramian, weights) <= 1e-6
        assert abs(gap.numpy() - true_gap(gramian, weights)) <= 1e-7
        exact = reference(rows)
        mean = np.square(rows).sum() / size
        assert true_gap(rows @ rows.T, exact) <= 1e-9  # its own KKT check
        value = np.square(weights @ rows).sum()
        assert value - np.square(exact @ rows).sum() <= 1e-5 * mean + 1e-30


@pytest.mark.parametrize("size", [2, 3, 10, 30])
def test_optimal_beside_a_gradient_a_million_times_longer(size):
    # The optimum is 1e-12 of the mean squared norm: a gap says nothing.
    for seed in range(10):
        rows = np.random.default_rng(seed).normal(size=(size, 4 * size))
        rows[0] *= 1e6
        weights = compiled(tf.constant(gramian_of(rows))).weights.numpy()
        value = np.square(np.float64(weights) @ rows).sum()
        best = np.square(reference(rows) @ rows).sum()
        assert value == pytest.approx(best, rel=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    family=st.sampled_from(sorted(FAMILIES)),
    seed=st.integers(0, 10**6),
    absent=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_an_absent_task_takes_no_part(family, seed, absent):
    present = ~np.array(absent)
    gramian = gramian_of(jacobian(family, 6, seed))
    spoilt = gramian.copy()
    spoilt[~present] = np.nan
    spoilt[:, ~present] = np.inf
    weights, gap, _ = masked(tf.constant(spoilt), tf.constant(present))
    weights = weights.numpy()
    np.testing.assert_array_equal(weights[~present], 0.0)
    if not present.any():
        assert gap.numpy() == 0.0
        return
    part = np.float64(gramian[np.ix_(present, present)])
    alone = min_norm_point(part)
    assert true_gap(part, weights[present]) <= 1e-6
    assert true_gap(part, alone.weights) <= 1e-6
    assert gap.numpy() == pytest.approx(alone.gap.numpy(), abs=2e-7)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.integers(-10, 10), min_size=6, max_size=6),
    scale=st.sampled_from([2.0**-26, 2.0**-10, 1.0, 2.0**26]),
)
def test_two_tasks_have_a_closed_form(rows, scale):
    # Whole numbers times a power of two: every product is exact.
    first, second = rows = np.reshape(rows, (2, 3)) * scale
    gramian = rows @ rows.T
    weights, gap, iterations = min_norm_point(gramian)
    length = np.square(first - second).sum()
    expected = 0.5  # any weights do
    if length > 0.0:
        expected = (gramian[1, 1] - gramian[0, 1]) / length
    expected = np.clip([expected, 1.0 - expected], 0.0, 1.0)
    np.testing.assert_allclose(weights, expected, atol=1e-6)
    assert gap.numpy() <= 1e-6
    assert iterations.numpy() == 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("gramian", "expected"),
    [
        # By hand: the excess of the other's norm, over their distance.
        (GOLDEN, [0.6, 0.4]),
        (np.diag([1.0, 3.0]), [0.75, 0.25]),
        # By hand: orthogonal tasks weigh the inverse of their squared norm.
        (np.diag([1.0, 3.0, 5.0]), [15 / 23, 5 / 23, 3 / 23]),
        ([[4.0]], [1.0]),
        (np.zeros((3, 3)), [1 / 3, 1 / 3, 1 / 3]),
        (np.ones((4, 4)), [0.25, 0.25, 0.25, 0.25]),
    ],
)
def test_golden_values(gramian, expected, method):
    result = min_norm_point(gramian, 1000, method=method)
    np.testing.assert_allclose(result.weights, expected, atol=3e-6)
    assert result.gap.numpy() <= 1.1e-6


@pytest.mark.parametrize("size", [3, 10, 30])
@pytest.mark.parametrize("family", ["wide", "scaled_rows"])
def test_permuted_tasks_have_permuted_weights(family, size):
    gramian = gramian_of(jacobian(family, size, 0))
    order = np.random.default_rng(1).permutation(size)
    weights = min_norm_point(gramian).weights.numpy()
    permuted = min_norm_point(gramian[order][:, order]).weights.numpy()
    np.testing.assert_allclose(permuted, weights[order], rtol=1e-5, atol=1e-9)


@pytest.mark.usefixtures("_as_users_run")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [2, 3, 10])
def test_eager_graph_and_xla_agree(size, method):
    gramian = tf.constant(gramian_of(jacobian("wide", size, 0)))

    def solve(gramian):
        return min_norm_point(gramian, 50, method=method)

    eager = solve(gramian)
    for jit in (False, True):
        result = tf.function(solve, jit_compile=jit)(gramian)
        np.testing.assert_allclose(result.weights, eager.weights, atol=1e-5)
        np.testing.assert_allclose(result.gap, eager.gap, atol=2e-6)
        assert abs(result.iterations.numpy() - eager.iterations.numpy()) <= 1
        assert [t.dtype for t in result] == [tf.float32, tf.float32, tf.int32]


@pytest.mark.parametrize("method", METHODS)
def test_is_traced_and_compiled_once(method):
    @tf.function(jit_compile=True)
    def solve(gramian, present):
        return min_norm_point(gramian, present=present, method=method)

    seconds = []
    for seed in range(4):
        gramian = gramian_of(jacobian("wide", 4, seed))
        present = np.arange(4) != seed
        start = time.process_time()
        solve(tf.constant(gramian), tf.constant(present))
        seconds.append(time.process_time() - start)
    assert solve.experimental_get_tracing_count() == 1
    # An XLA compilation for new values would not show in the count.
    assert max(seconds[1:]) < seconds[0] / 5


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("whole", [True, False])
def test_non_finite_gramian_ends(value, whole, method):
    gramian = gramian_of(jacobian("wide", 4, 0))
    gramian[(slice(None) if whole else 0), :] = value
    result = min_norm_point(gramian, 20, method=method)
    assert result.weights.shape == (4,)
    assert not result.gap.numpy() <= 1e-6


@pytest.mark.parametrize("method", ["pairwise", "frank_wolfe"])
def test_a_line_search_says_how_far_it_got(method):
    gramian = gramian_of(jacobian("square", 10, 3))
    gaps = []
    for steps in (1, 10, 1000):
        weights, gap, iterations = min_norm_point(
            gramian, steps, 1e-3, method=method
        )
        gaps.append(gap.numpy())
        assert gaps[-1] == pytest.approx(true_gap(gramian, weights), rel=1e-3)
        assert (iterations.numpy() == steps) == (gaps[-1] > 1e-3)
    assert gaps[0] > 1e-3 >= gaps[-1]


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_a_capped_solve_is_valid_and_honest(steps):
    gramian = gramian_of(jacobian("wide", 10, 0))
    weights, gap, iterations = min_norm_point(gramian, steps)
    assert iterations.numpy() == steps
    assert weights.numpy().sum() == pytest.approx(1.0, abs=1e-6)
    assert gap.numpy() == pytest.approx(true_gap(gramian, weights), rel=1e-4)
    assert gap.numpy() > 1e-3


def test_no_gradient_flows():
    gramian = tf.Variable(GOLDEN)
    with tf.GradientTape() as tape:
        weights = min_norm_point(gramian).weights
    assert tape.gradient(weights, gramian) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"gramian": np.ones((2, 3))},
            "Argument `gramian` must be a square matrix of known size. "
            "Received: shape=(2, 3)",
        ),
        (
            {"gramian": GOLDEN, "present": [1, 1, 0]},
            "Argument `present` must have shape (2,), one entry per task. "
            "Received: shape=(3,)",
        ),
        (
            {"gramian": GOLDEN, "max_iterations": 0},
            "Argument `max_iterations` must be at least 1. "
            "Received: max_iterations=0",
        ),
        (
            {"gramian": GOLDEN, "tolerance": 0.0},
            "Argument `tolerance` must be greater than 0. "
            "Received: tolerance=0.0",
        ),
        (
            {"gramian": GOLDEN, "method": "pairwse"},
            "Argument `method` must be one of ['fully_corrective', "
            "'pairwise', 'frank_wolfe']. Received: method='pairwse'. "
            "Did you mean 'pairwise'?",
        ),
    ],
)
def test_error_messages(arguments, message):
    with pytest.raises(ValueError) as error:
        min_norm_point(**arguments)
    assert str(error.value) == message


def test_an_unknown_number_of_tasks_is_refused():
    signature = [tf.TensorSpec((None, None), tf.float32)]
    with pytest.raises(ValueError, match="a square matrix of known size"):
        tf.function(min_norm_point, signature)(tf.ones((2, 2)))
