"""Formulas on gradients in float64 NumPy, one step a call."""

import itertools

import numpy as np

from tests.weighters.formulas import K, P, shortest
from tests.weighters.loss_formulas import Adam, Kept, softmax


def projected(y):
    """The nearest point of the simplex: the best of all supports."""
    candidates = []
    for count in range(1, len(y) + 1):
        for support in map(list, itertools.combinations(range(len(y)), count)):
            x = np.zeros(len(y))
            x[support] = y[support] - (y[support].sum() - 1.0) / count
            if (x >= 0.0).all():
                candidates.append(x)
    return min(candidates, key=lambda x: np.sum((x - y) ** 2))


class ExcessMTL(Kept):
    def start(self):
        self.squares, self.e0 = np.zeros((K, P)), [[] for _ in range(K)]

    def __call__(self, jacobian, present):
        step_size, warmup = self.arguments
        i = np.flatnonzero(present)
        self.squares[i] += jacobian[i] ** 2
        e = np.sum(jacobian**2 / np.sqrt(self.squares + 1e-7), axis=1)
        moved = self.w.copy()
        for k in i:
            if len(self.e0[k]) < max(1, warmup):
                self.e0[k].append(e[k])
            else:
                moved[k] *= np.exp(step_size * e[k] / np.mean(self.e0[k]))
        rest = self.w[i].sum()
        self.w[i] = rest * moved[i] / moved[i].sum()
        return self.w


class DBMTL:
    """Weights of the gradients, or with a momentum of their averages."""

    def __init__(self, momentum=0.0, decay=0.0):
        self.momentum, self.decay = momentum, decay
        self.y, self.t = np.zeros((K, P)), np.zeros(K)

    def __call__(self, losses, jacobian, present):
        i = np.flatnonzero(present)
        w, heads = np.zeros(K), 1 / (losses + 1e-8)
        self.t[i] += 1
        for k in i:
            g, m = (
                heads[k] * jacobian[k],
                self.momentum / self.t[k] ** self.decay,
            )
            self.y[k] = g + m * (self.y[k] - g)
        norms = np.linalg.norm(self.y[i], axis=1)
        w[i] = norms.max() / norms * heads[i]
        return w


class MetaBalance:
    """Of means that all tasks began together, were they always present."""

    def __init__(self, primary, relax, momentum):
        self.arguments = primary, relax, momentum
        self.past = [[] for _ in range(K)]

    def __call__(self, gradient_norms, present):
        primary, relax, momentum = self.arguments
        for k in np.flatnonzero(present):
            self.past[k].append(gradient_norms[k])
        w = np.zeros(K)
        for k in np.flatnonzero(present):
            means = []
            for of in (self.past[primary], self.past[k]):
                ages = momentum ** np.arange(len(of))[::-1]
                means.append(ages @ of / ages.sum() if of else np.nan)
            ratio = means[0] / means[1] if self.past[primary] else 1.0
            w[k] = 1.0 if k == primary else relax * ratio + 1 - relax
        return w


class GradVac:
    def __init__(self, momentum):
        self.momentum, self.phi = momentum, np.zeros((K, K))

    def __call__(self, jacobian, present):
        i = np.flatnonzero(present)
        total = np.zeros(P)
        for task in i:
            g = jacobian[task].copy()
            for other in i[i != task]:
                h, phi = jacobian[other], self.phi[task, other]
                length, size = np.linalg.norm(g), np.linalg.norm(h)
                cos = g @ h / (length * size)
                if cos < phi:
                    sine = np.sqrt(1 - phi**2)
                    bend = phi * np.sqrt(1 - cos**2) - cos * sine
                    g = g + length * bend / (size * sine) * h
                self.phi[task, other] += (1 - self.momentum) * (cos - phi)
            total += g
        w = np.zeros(K)
        w[i] = np.linalg.lstsq(jacobian[i].T, total)[0]
        return w


class AutoLambda:
    def __init__(self, primary, rate):
        self.primary, self.rate = primary, rate
        self.w, self.adam = np.full(K, 0.1), Adam()

    def __call__(self, query_support_gramian, learning_rate):
        now = self.w.copy()
        rows = query_support_gramian
        if self.primary is not None:
            rows = rows[[self.primary]]
        hypergradient = -learning_rate * rows.sum(0)
        # None of an absent task, nor of any without the main one's query rows.
        step = self.adam(hypergradient, np.flatnonzero(hypergradient))
        self.w = self.w - self.rate * step
        return now


class MOML:
    def __init__(self, rate):
        self.rate, self.a, self.adam = rate, np.zeros(K), Adam()

    def __call__(self, query_support_gramian):
        p = softmax(self.a)
        rows = -query_support_gramian @ (np.diag(p) - np.outer(p, p))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        mixed = shortest(rows @ rows.T) @ rows
        self.a = self.a - self.rate * self.adam(mixed, np.arange(K))
        return K * p


class MoDo:
    def __init__(self, step_size, regularization):
        self.arguments, self.w = (step_size, regularization), np.full(K, 1 / K)

    def __call__(self, split_gramian):
        step_size, regularization = self.arguments
        slope = split_gramian @ self.w + regularization * self.w
        self.w = projected(self.w - step_size * slope)
        return self.w


class SDMGrad:
    def __init__(self, pull, step_size, steps):
        self.arguments, self.w = (pull, step_size, steps), np.full(K, 1 / K)

    def __call__(self, split_gramian):
        pull, step_size, steps = self.arguments
        norms = np.sqrt(np.maximum(np.diag(split_gramian), 0.0))
        scaled, v = split_gramian / norms.mean() ** 2, np.zeros(K)
        for _ in range(steps):
            v = v / 2 + scaled @ (self.w + pull / K)
            self.w = projected(self.w - step_size * v)
        return (self.w + pull / K) / (1 + pull)
