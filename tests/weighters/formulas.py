"""The methods' formulas in float64 NumPy, one step a call.

The restatements follow the papers, not the package: raw moments, powers,
explicit gradients, supports tried one by one.
"""

import itertools

import numpy as np

K, P = 4, 12


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
        self.u = np.array(preference)
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
