"""300 steps of every method against its formulas in float64 NumPy.

The restatements follow the papers, not the package: raw moments, powers,
explicit gradients, supports tried one by one.
"""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import weighters

STEPS, K, P = 300, 4, 12


def shortest(gramian):
    """The minimum-norm weights: the best of all supports."""
    size = len(gramian)
    best, best_norm = None, np.inf
    for count in range(1, size + 1):
        for support in map(list, itertools.combinations(range(size), count)):
            system = np.ones((count + 1, count + 1))
            system[:count, :count] = gramian[np.ix_(support, support)]
            system[count, count] = 0.0
            solution = np.linalg.lstsq(system, np.eye(count + 1)[count])[0]
            weights = np.zeros(size)
            weights[support] = solution[:count]
            norm = weights @ gramian @ weights
            if (solution[:count] >= 0.0).all() and norm < best_norm:
                best, best_norm = weights, norm
    return best


class SLAW:
    def __init__(self):
        self.n, self.a, self.b = np.zeros(K), np.zeros(K), np.zeros(K)

    def __call__(self, losses, present):
        for k in np.flatnonzero(present):
            self.n[k] += 1
            rate = 1 / self.n[k] if self.n[k] <= 100 else 0.01
            self.a[k] += rate * (losses[k] ** 2 - self.a[k])
            self.b[k] += rate * (losses[k] - self.b[k])
        if (self.n < 2).any():
            return None
        s = np.maximum(np.sqrt(np.maximum(self.a - self.b**2, 0)), 1e-5)
        return K / s / np.sum(1 / s)


class DWAPerStep:
    def __init__(self):
        self.average, self.ratio = [None] * K, np.ones(K)

    def __call__(self, losses, present):
        e = np.exp(self.ratio / 2.0)
        for k in np.flatnonzero(present):
            old = self.average[k]
            new = losses[k] if old is None else 0.9 * old + 0.1 * losses[k]
            self.average[k] = new
            self.ratio[k] = 1.0 if old is None else new / old
        return K * e / e.sum()


class DWAPerEpoch:
    """Recomputed from the full history at every step."""

    def __init__(self):
        self.history = [{} for _ in range(K)]

    def __call__(self, losses, present, epoch):
        ratio = np.ones(K)
        for k in range(K):
            past = [np.mean(v) for e, v in self.history[k].items() if e < epoch]
            if len(past) >= 2:
                ratio[k] = past[-1] / past[-2]
            if present[k]:
                self.history[k].setdefault(float(epoch), []).append(losses[k])
        e = np.exp(ratio / 2.0)
        return K * e / e.sum()


class BanditMTL:
    def __init__(self, radius):
        self.radius, self.p = radius, np.full(K, 1 / K)

    def __call__(self, losses, present):
        seen = present > 0
        mass = self.p[seen].sum()

        def moved(multiplier):
            log_q = np.log(self.p[seen]) + 0.5 * losses[seen]
            q = np.exp((log_q - log_q.max()) / (1 + multiplier))
            p = self.p.copy()
            p[seen] = mass * q / q.sum()
            return p

        def excess(multiplier):
            p = moved(multiplier)
            return np.sum(p * np.log(K * p)) - self.radius

        low, high = 0.0, 1e6
        if excess(0.0) <= 0.0:
            high = 0.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if excess(middle) > 0 else (low, middle)
        self.p = moved(high)
        return K * self.p


class Tchebycheff:
    def __init__(self, preference, ideal, smoothing):
        self.u = K * np.array(preference) / np.sum(preference)
        self.ideal, self.smoothing = ideal, smoothing

    def __call__(self, losses, present):
        value = np.where(present > 0, self.u * (losses - self.ideal), -np.inf)
        if self.smoothing:
            share = self.u * np.exp((value - value.max()) / self.smoothing)
        else:
            share = np.eye(K)[value.argmax()]
        return K * share / share.sum()


class GradNorm:
    def __init__(self):
        self.w, self.first = np.ones(K), np.full(K, np.nan)
        self.m, self.v, self.t = np.zeros(K), np.zeros(K), np.zeros(K)

    def __call__(self, losses, gradient_norms, present):
        i = np.flatnonzero(present)
        self.first[i] = np.where(
            np.isnan(self.first[i]), losses[i], self.first[i]
        )
        n, left = gradient_norms[i], losses[i] / self.first[i]
        size = self.w[i] * n
        target = size.mean() * (left / left.mean()) ** 1.5
        g = n * np.sign(size - target)
        self.t[i] += 1
        self.m[i] = 0.9 * self.m[i] + 0.1 * g
        self.v[i] = 0.999 * self.v[i] + 0.001 * g**2
        m = self.m[i] / (1 - 0.9 ** self.t[i])
        v = self.v[i] / (1 - 0.999 ** self.t[i])
        self.w[i] = np.maximum(self.w[i] - 0.025 * m / (v**0.5 + 1e-8), 1e-3)
        rest = K - (self.w.sum() - self.w[i].sum())
        self.w[i] *= rest / self.w[i].sum()
        return self.w


class MGDA:
    def __init__(self, divisor):
        self.divisor = divisor

    def __call__(self, jacobian, losses, present):
        i = np.flatnonzero(present)
        rows = jacobian[i]
        rows = rows / self.divisor(rows, losses[i])[:, None]
        weights = np.zeros(K)
        weights[i] = shortest(rows @ rows.T)
        return weights


class PCGrad:
    def __call__(self, jacobian, present):
        i = np.flatnonzero(present)
        total = np.zeros(P)
        for task in i:
            g = jacobian[task].copy()
            for other in i[i != task]:
                inner = g @ jacobian[other]
                if inner < 0:
                    square = jacobian[other] @ jacobian[other]
                    g -= inner / square * jacobian[other]
            total += g
        weights = np.zeros(K)
        weights[i] = np.linalg.lstsq(jacobian[i].T, total)[0]
        return weights


def norms(rows, losses):
    return np.linalg.norm(rows, axis=1)


METHODS = {
    "slaw": (weighters.SLAW, SLAW, 1e-5),
    "dwa per step": (weighters.DWA, DWAPerStep, 1e-5),
    "dwa per epoch": (
        lambda: weighters.DWA(per="epoch"),
        DWAPerEpoch,
        1e-5,
    ),
    "bandit_mtl": (
        lambda: weighters.BanditMTL(radius=0.3),
        lambda: BanditMTL(0.3),
        1e-5,
    ),
    "bandit_mtl, wide": (weighters.BanditMTL, lambda: BanditMTL(1.2), 1e-3),
    "tchebycheff": (
        lambda: weighters.Tchebycheff([1.0, 2.0, 1.0, 0.5], ideal=0.2),
        lambda: Tchebycheff([1.0, 2.0, 1.0, 0.5], 0.2, 0.0),
        1e-6,
    ),
    "tchebycheff, smooth": (
        lambda: weighters.Tchebycheff([1, 2, 1, 0.5], 0.2, smoothing=0.3),
        lambda: Tchebycheff([1, 2, 1, 0.5], 0.2, 0.3),
        1e-5,
    ),
    "gradnorm": (weighters.GradNorm, GradNorm, 1e-5),
    "mgda": (
        weighters.MGDA,
        lambda: MGDA(lambda rows, losses: np.ones(len(rows))),
        1e-4,
    ),
    "mgda l2": (
        lambda: weighters.MGDA("l2"),
        lambda: MGDA(norms),
        1e-4,
    ),
    "mgda loss": (
        lambda: weighters.MGDA("loss"),
        lambda: MGDA(lambda rows, losses: losses),
        1e-4,
    ),
    "mgda loss+": (
        lambda: weighters.MGDA("loss+"),
        lambda: MGDA(lambda rows, losses: losses * norms(rows, losses)),
        1e-4,
    ),
    "pcgrad": (lambda: weighters.PCGrad(shuffle=False), PCGrad, 1e-5),
}


def run(method, signals):
    """Calls `method` once for each row of the signals, in one graph."""

    @tf.function
    def loop(signals):
        results = tf.TensorArray("float32", STEPS, element_shape=(K,))
        for step in tf.range(STEPS):
            row = {n: s[step] for n, s in signals.items()}
            results = results.write(step, method(**row))
        return results.stack()

    given = {n: tf.constant(s, "float32") for n, s in signals.items()}
    return loop(given).numpy()


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
    weights = run(weighter, {n: signals[n] for n in weighter.needs})
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
    result = run(
        meta.observe,
        {
            "query_support_gramian": matrices,
            "learning_rate": np.full(STEPS, learning_rate),
        },
    )[-1]
    weights = np.ones(K)
    for matrix in matrices:
        hypergradients = -learning_rate / K * matrix
        weights -= 0.1 * shortest(matrix @ matrix.T) @ hypergradients
    # A plain float32 sum is off by 1e-6 at the smallest rate.
    np.testing.assert_allclose(result, weights, rtol=1.2e-7, atol=0)
    np.testing.assert_allclose(meta.rest + result, weights, rtol=1.2e-7)
