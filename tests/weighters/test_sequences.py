"""300 steps of every method against its formulas in float64 NumPy."""

import numpy as np
import pytest

from keras_mtl import weighters
from tests.weighters import formulas
from tests.weighters.by_row import call_by_row
from tests.weighters.formulas import K, P

STEPS = 300


def norms(rows, losses):
    return np.linalg.norm(rows, axis=1)


METHODS = {
    "slaw": (weighters.SLAW, formulas.SLAW, 1e-5),
    "dwa per step": (weighters.DWA, formulas.DWAPerStep, 1e-5),
    "dwa per epoch": (
        lambda: weighters.DWA(per="epoch"),
        formulas.DWAPerEpoch,
        1e-5,
    ),
    "bandit_mtl": (
        lambda: weighters.BanditMTL(radius=0.3),
        lambda: formulas.BanditMTL(0.3),
        1e-5,
    ),
    "bandit_mtl, wide": (
        weighters.BanditMTL,
        lambda: formulas.BanditMTL(1.2),
        1e-3,
    ),
    "tchebycheff": (
        lambda: weighters.Tchebycheff([1.0, 2.0, 1.0, 0.5], ideal=0.2),
        lambda: formulas.Tchebycheff([1.0, 2.0, 1.0, 0.5], 0.2, 0.0),
        1e-6,
    ),
    "tchebycheff, smooth": (
        lambda: weighters.Tchebycheff([1, 2, 1, 0.5], 0.2, smoothing=0.3),
        lambda: formulas.Tchebycheff([1, 2, 1, 0.5], 0.2, 0.3),
        1e-5,
    ),
    "gradnorm": (weighters.GradNorm, formulas.GradNorm, 1e-5),
    "mgda": (
        weighters.MGDA,
        lambda: formulas.MGDA(lambda rows, losses: np.ones(len(rows))),
        1e-4,
    ),
    "mgda l2": (
        lambda: weighters.MGDA("l2"),
        lambda: formulas.MGDA(norms),
        1e-4,
    ),
    "mgda loss": (
        lambda: weighters.MGDA("loss"),
        lambda: formulas.MGDA(lambda rows, losses: losses),
        1e-4,
    ),
    "mgda loss+": (
        lambda: weighters.MGDA("loss+"),
        lambda: formulas.MGDA(
            lambda rows, losses: losses * norms(rows, losses)
        ),
        1e-4,
    ),
    "pcgrad": (lambda: weighters.PCGrad(shuffle=False), formulas.PCGrad, 1e-5),
}


def random_signals(some_absent):
    random = np.random.default_rng(0)
    scales = np.array([1.0, 3.0, 0.3, 2.0])
    present = np.ones((STEPS, K))
    if some_absent:
        present[random.random((STEPS, K)) < 0.3] = 0.0
        present[np.arange(STEPS), random.integers(K, size=STEPS)] = 1.0
    jacobian = scales[:, None] * (random.normal(size=(STEPS, K, P)) + 0.2)
    fall = np.linspace(0.0, 1.0, STEPS)[:, None]
    losses = scales * np.exp(0.3 * random.normal(size=(STEPS, K)) - fall)
    jacobian = np.float32(jacobian * present[..., None]).astype("float64")
    return {
        "losses": np.float32(losses * present).astype("float64"),
        "jacobian": jacobian,
        "gramian": jacobian @ jacobian.transpose(0, 2, 1),
        "gradient_norms": np.linalg.norm(jacobian, axis=2),
        "present": present,
        "epoch": np.arange(STEPS) // 20,
    }


def deviation(make_weighter, make_reference, some_absent):
    """The largest relative deviation of any weight in any step."""
    weighter, reference = make_weighter(), make_reference()
    weighter.bind(K)
    signals = random_signals(some_absent)
    weights = call_by_row(weighter, {n: signals[n] for n in weighter.needs})
    code = reference.__call__.__code__
    wanted = code.co_varnames[1 : code.co_argcount]
    worst = 0.0
    for step in range(STEPS):
        expected = reference(**{n: signals[n][step] for n in wanted})
        if expected is not None:
            scale = np.maximum(np.abs(expected), 1e-3)
            gap = np.abs(weights[step] - expected) / scale
            worst = max(worst, gap.max())
    return worst


@pytest.mark.parametrize("some_absent", [False, True])
@pytest.mark.parametrize("name", METHODS)
def test_300_steps_follow_the_formulas(name, some_absent):
    make_weighter, make_reference, tolerance = METHODS[name]
    assert deviation(make_weighter, make_reference, some_absent) < tolerance


@pytest.mark.parametrize("learning_rate", [2e-5, 0.5])
def test_300_updates_of_meta_weighting_follow_the_formulas(learning_rate):
    random = np.random.default_rng(1)
    meta = weighters.MetaWeighting(step_size=0.1)
    meta.bind(K)
    noise = 0.3 * random.normal(size=(STEPS, K, K))
    matrices = np.float32(np.eye(K) + noise).astype("float64")
    result = call_by_row(
        meta.observe,
        {
            "query_support_gramian": matrices,
            "learning_rate": np.full(STEPS, learning_rate),
        },
    )[-1]
    weights = np.ones(K)
    for matrix in matrices:
        hypergradients = -learning_rate / K * matrix
        weights -= 0.1 * formulas.shortest(matrix @ matrix.T) @ hypergradients
    # A plain float32 sum is off by 1e-6 at the smallest rate.
    np.testing.assert_allclose(result, weights, rtol=1.2e-7, atol=0)
    np.testing.assert_allclose(meta.rest + result, weights, rtol=1.2e-7)
