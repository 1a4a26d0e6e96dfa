import numpy as np
import pytest

from keras_mtl.weighters import (
    MGDA,
    ConFIG,
    Every,
    GradNorm,
    MetaWeighting,
    NashMTL,
    OfLogLosses,
    PCGrad,
    Smoothed,
)


def problems(count=20, tasks=3):
    random = np.random.default_rng(0)
    for _ in range(count):
        jacobian = random.normal(size=(tasks, 8)) + 0.3
        yield jacobian, np.exp(random.normal(size=tasks))


@pytest.mark.parametrize("inner", [MGDA, lambda: PCGrad(shuffle=False)])
def test_it_is_the_method_on_the_gradients_of_the_logarithms(inner):
    """The update and the heads', with `∇ log L = ∇L / L`, in NumPy."""
    for jacobian, losses in problems():
        of_logs = jacobian / losses[:, None]
        expected = inner()(gramian=of_logs @ of_logs.T).numpy() @ of_logs
        both = OfLogLosses(inner()).weigh(
            gramian=jacobian @ jacobian.T, losses=losses
        )
        received = both.shared.numpy() @ jacobian
        np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(both.heads, 1 / losses, rtol=1e-5)


@pytest.mark.parametrize(
    ("inner", "scale"), [(lambda: NashMTL(max_norm=0), 1.0), (ConFIG, None)]
)
def test_methods_that_see_directions_only_are_unchanged(inner, scale):
    """Nash's bargain to scale; of ConFIG the direction."""
    for jacobian, losses in problems():
        gramian = jacobian @ jacobian.T
        received = OfLogLosses(inner())(gramian=gramian, losses=losses)
        received = received.numpy() @ jacobian
        expected = inner()(gramian=gramian).numpy() @ jacobian
        if scale is None:
            received /= np.linalg.norm(received)
            expected /= np.linalg.norm(expected)
        np.testing.assert_allclose(received, expected, rtol=1e-3, atol=1e-4)


def test_an_absent_task_has_weight_zero_and_a_plain_head():
    both = OfLogLosses(MGDA()).weigh(
        gramian=np.diag([1.0, 4.0, 0.0]),
        losses=[1.0, 2.0, 0.0],
        present=[1.0, 1.0, 0.0],
    )
    np.testing.assert_allclose(both.shared, [0.5, 0.25, 0.0], atol=1e-6)
    np.testing.assert_allclose(both.heads, [1.0, 0.5, 1.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("inner", "words"),
    [
        (lambda: "slaw", "Received: SLAW, which reads losses, present"),
        (GradNorm, "Received: GradNorm, which reads gradient_norms, losses"),
        (MetaWeighting, "reads learning_rate, losses"),
        (lambda: OfLogLosses(MGDA()), "cannot go around OfLogLosses"),
        (lambda: Smoothed(Every(MGDA())), r"Use Every\(OfLogLosses"),
    ],
)
def test_errors(inner, words):
    with pytest.raises(ValueError, match=words):
        OfLogLosses(inner())
