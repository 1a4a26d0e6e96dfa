"""60 steps of further methods against float64 NumPy."""

import numpy as np
import pytest

from keras_mtl import weighters
from tests.weighters import gradient_formulas, loss_formulas
from tests.weighters.by_row import call_by_row
from tests.weighters.formulas import K, P

STEPS = 60


def stch(losses, base):
    return np.log(losses / base) / 0.7


def igb(losses, base):
    return losses / base


# Weighter, formula, tolerance, and whether tasks may be absent.
METHODS = {
    "gls": (weighters.GLS, loss_formulas.GLS, 1e-5, True),
    "log_losses": (weighters.LogLosses, loss_formulas.LogLosses, 1e-5, True),
    "uwso": (
        lambda: weighters.UWSO(temperature=2.0),
        lambda: loss_formulas.UWSO(2.0),
        1e-5,
        True,
    ),
    "stch": (
        lambda: weighters.STCH(smoothing=0.7, warmup_epochs=1),
        lambda: loss_formulas.OfBase(1, stch),
        1e-5,
        True,
    ),
    "igb": (
        weighters.IGB,
        lambda: loss_formulas.OfBase(0, igb),
        1e-5,
        True,
    ),
    "cov_weighting": (
        weighters.CoVWeighting,
        loss_formulas.CoVWeighting,
        1e-4,
        True,
    ),
    "cov_weighting, momentum": (
        lambda: weighters.CoVWeighting(momentum=0.8),
        lambda: loss_formulas.CoVWeighting(0.8),
        1e-4,
        True,
    ),
    "softadapt": (
        lambda: weighters.SoftAdapt(sharpness=0.5, momentum=0.6),
        lambda: loss_formulas.SoftAdapt(0.5, 0.6),
        1e-5,
        True,
    ),
    "relobralo, on": (
        lambda: weighters.ReLoBRaLo(lookback=1.0, temperature=2.0),
        lambda: loss_formulas.ReLoBRaLo(0.95, True, 2.0),
        1e-5,
        True,
    ),
    "relobralo, back": (
        lambda: weighters.ReLoBRaLo(momentum=0.7, lookback=0.0),
        lambda: loss_formulas.ReLoBRaLo(0.7, False, 1.0),
        1e-5,
        True,
    ),
    "go4align": (
        lambda: weighters.GO4Align(groups=2, step_size=0.02),
        lambda: loss_formulas.GO4Align(2, 0.02),
        1e-5,
        True,
    ),
    "famo": (
        lambda: weighters.FAMO(learning_rate=0.05, lowest=0.01),
        lambda: loss_formulas.FAMO(0.05, 1e-3, 0.01),
        1e-4,
        True,
    ),
    "excess_mtl": (
        lambda: weighters.ExcessMTL(step_size=0.1, warmup_steps=3),
        lambda: gradient_formulas.ExcessMTL(0.1, 3),
        1e-5,
        True,
    ),
    "db_mtl": (weighters.DBMTL, gradient_formulas.DBMTL, 1e-5, True),
    "db_mtl, averages": (
        lambda: weighters.DBMTL(momentum=0.9, decay=0.5),
        lambda: gradient_formulas.DBMTL(0.9, 0.5),
        1e-5,
        True,
    ),
    "meta_balance": (
        lambda: weighters.MetaBalance(primary=1, relax=0.6),
        lambda: gradient_formulas.MetaBalance(1, 0.6, 0.9),
        1e-5,
        True,
    ),
    "gradvac": (
        lambda: weighters.GradVac(momentum=0.8, shuffle=False),
        lambda: gradient_formulas.GradVac(0.8),
        1e-4,
        True,
    ),
    "auto_lambda": (
        lambda: weighters.AutoLambda(primary=2, learning_rate=0.01),
        lambda: gradient_formulas.AutoLambda(2, 0.01),
        1e-4,
        True,
    ),
    "auto_lambda, all": (
        lambda: weighters.AutoLambda(learning_rate=0.01),
        lambda: gradient_formulas.AutoLambda(None, 0.01),
        1e-4,
        True,
    ),
    "moml": (
        lambda: weighters.MOML(learning_rate=0.02),
        lambda: gradient_formulas.MOML(0.02),
        1e-3,
        False,
    ),
    "modo": (
        lambda: weighters.MoDo(step_size=0.01),
        lambda: gradient_formulas.MoDo(0.01, 0.1),
        1e-4,
        False,
    ),
    "sdmgrad": (
        lambda: weighters.SDMGrad(0.4, stochastic=True, step_size=0.3),
        lambda: gradient_formulas.SDMGrad(0.4, 0.3, 20),
        1e-4,
        False,
    ),
}


def random_signals(some_absent):
    random = np.random.default_rng(1)
    scales = np.array([1.0, 3.0, 0.3, 2.0])
    present = np.ones((STEPS, K))
    if some_absent:
        present[random.random((STEPS, K)) < 0.3] = 0.0
        present[np.arange(STEPS), random.integers(K, size=STEPS)] = 1.0
    mean = random.normal(size=(STEPS, K, P)) + 0.2
    half, other, query = (
        scales[:, None]
        * (mean + 0.5 * random.normal(size=(STEPS, K, P)))
        * present[..., None]
        for _ in range(3)
    )
    jacobian = (half + other) / 2
    fall = np.linspace(0.0, 1.0, STEPS)[:, None]
    losses = scales * np.exp(0.3 * random.normal(size=(STEPS, K)) - fall)
    after = losses * np.exp(0.1 * random.normal(size=(STEPS, K)) - 0.02)
    signals = {
        "losses": losses * present,
        "losses_after": after * present,
        "jacobian": jacobian,
        "gradients": jacobian,
        "gramian": jacobian @ jacobian.transpose(0, 2, 1),
        "split_gramian": half @ other.transpose(0, 2, 1),
        "query_support_gramian": query @ jacobian.transpose(0, 2, 1),
        "gradient_norms": np.linalg.norm(jacobian, axis=2),
        "learning_rate": np.full(STEPS, 0.1),
        "present": present,
        "epoch": np.arange(STEPS) // 20,
    }
    return {n: np.float32(s).astype("float64") for n, s in signals.items()}


def run(weighter, signals):
    """Weights of each step, before it."""

    def step(**row):
        found = weighter.weigh(**{n: row[n] for n in weighter.needs})
        if weighter.observes:
            weighter.observe(**{n: row[n] for n in weighter.observes})
        return found.shared

    names = {*weighter.needs, *weighter.observes}
    return call_by_row(step, {name: signals[name] for name in names})


@pytest.mark.parametrize(
    ("name", "some_absent"),
    [
        (name, absent)
        for name, (*_, may) in METHODS.items()
        for absent in ((False, True) if may else (False,))
    ],
)
def test_60_steps_follow_the_formulas(name, some_absent):
    make_weighter, make_reference, tolerance, _ = METHODS[name]
    weighter, reference = make_weighter(), make_reference()
    weighter.bind(K, sizes={"number": P})
    signals = random_signals(some_absent)
    weights = run(weighter, signals)
    code = reference.__call__.__code__
    wanted = code.co_varnames[1 : code.co_argcount]
    for step in range(STEPS):
        given = {n: signals[n][step] for n in wanted}
        expected = np.array(reference(**given))
        scale = np.maximum(np.abs(expected), 1e-3)
        gap = np.max(np.abs(weights[step] - expected) / scale)
        assert gap < tolerance, (step, weights[step], expected)
