"""Formulas on losses in float64 NumPy, one step a call.

Papers' forms, task by task: lists of the past, loops over pairs, groupings
tried one by one. An absent task keeps its statistics; of weights that sum to
K, it keeps its own, and the others share what is left.
"""

import itertools

import numpy as np

from tests.weighters.formulas import K


def softmax(z):
    powers = np.exp(z - z.max())
    return powers / powers.sum()


class Kept:
    """Weights that absent tasks keep."""

    def __init__(self, *arguments):
        self.arguments = arguments
        self.w = np.ones(K)
        self.start()

    def start(self):
        pass

    def share(self, logits, i):
        """Softmax of the tasks `i`, of what the others leave of K."""
        rest = K - (self.w.sum() - self.w[i].sum())
        w = self.w.copy()
        w[i] = rest * softmax(logits)
        return w


class GLS(Kept):
    def __call__(self, losses, present):
        i = np.flatnonzero(present)
        self.w[i] = np.prod(losses[i]) ** (1 / len(i)) / (len(i) * losses[i])
        return self.w


class LogLosses(Kept):
    def __call__(self, losses, present):
        i = np.flatnonzero(present)
        self.w[i] = 1 / (losses[i] + 1e-8)
        return self.w


class UWSO(Kept):
    def __call__(self, losses, present):
        (temperature,) = self.arguments
        i = np.flatnonzero(present)
        self.w = self.share(1 / (losses[i] + 1e-8) / temperature, i)
        return self.w


class OfBase(Kept):
    """STCH and IGB: the mean losses of one epoch, then a softmax."""

    def start(self):
        self.seen = [[] for _ in range(K)]

    def __call__(self, losses, epoch, present):
        measured, score = self.arguments
        i = np.flatnonzero(present)
        for k in i:
            if epoch == measured or (epoch > measured and not self.seen[k]):
                self.seen[k].append(losses[k])
        self.w[i] = 1 / losses[i]
        if epoch > measured:
            base = np.array([np.mean(self.seen[k]) for k in i])
            shares = softmax(score(losses[i], base))
            self.w[i] *= len(i) * shares
        return self.w


class CoVWeighting:
    def __init__(self, momentum=None):
        self.momentum = momentum
        self.t, self.mean = np.zeros(K), np.zeros(K)
        self.mu, self.s = np.zeros(K), np.zeros(K)

    def __call__(self, losses, present):
        w, ready = np.ones(K), self.t >= 2
        if ready.any():
            spread = np.sqrt(self.s[ready] / self.t[ready] + 1e-8)
            part = spread / self.mu[ready]
            w[ready] = ready.sum() * part / part.sum()
        for k in np.flatnonzero(present):
            ratio = losses[k] / self.mean[k] if self.t[k] else 1.0
            m = 1 - 1 / (self.t[k] + 1)
            if self.momentum is not None and self.t[k]:
                m = self.momentum
            mu = m * self.mu[k] + (1 - m) * ratio
            self.s[k] += (ratio - self.mu[k]) * (ratio - mu)
            self.mean[k] = m * self.mean[k] + (1 - m) * losses[k]
            self.mu[k] = mu
            self.t[k] += 1
        return w


class SoftAdapt(Kept):
    def start(self):
        self.average = np.full(K, np.nan)

    def __call__(self, losses, present):
        sharpness, momentum = self.arguments
        i = np.flatnonzero(present)
        old = np.where(np.isnan(self.average), losses, self.average)[i]
        self.average[i] = momentum * old + (1 - momentum) * losses[i]
        self.w = self.share(sharpness * self.average[i] / old, i)
        return self.w


class ReLoBRaLo(Kept):
    """With a draw that is always the same: back to the start, or not."""

    def start(self):
        self.first, self.last = np.full(K, np.nan), np.full(K, np.nan)

    def __call__(self, losses, present):
        momentum, stays, temperature = self.arguments
        i = np.flatnonzero(present)
        begins = np.isnan(self.first).all()
        self.first[i] = np.where(
            np.isnan(self.first[i]), losses[i], self.first[i]
        )
        last = np.where(np.isnan(self.last[i]), losses[i], self.last[i])
        past = self.w
        if not stays:
            past = self.share(losses[i] / self.first[i] / temperature, i)
        new = self.share(losses[i] / last / temperature, i)
        self.last[i] = losses[i]
        if not begins:
            self.w = momentum * past + (1 - momentum) * new
        return self.w


class GO4Align(Kept):
    def start(self):
        self.a = np.full(K, 1 / K)

    def __call__(self, losses, present):
        groups, step_size = self.arguments
        i = np.flatnonzero(present)
        self.a[i] *= np.exp(-step_size * losses[i])
        self.a /= self.a.sum()
        v = losses[i].sum() / losses[i] * self.a[i]
        best = np.inf
        for labels in itertools.product(range(groups), repeat=len(i)):
            labels = np.array(labels)
            means = np.array([v[labels == of].mean() for of in labels])
            if np.sum((v - means) ** 2) < best * (1 - 1e-12):
                best, self.w[i] = np.sum((v - means) ** 2), means
        return self.w


class Adam:
    """Of tasks that count their own steps."""

    def __init__(self):
        self.m, self.v, self.t = np.zeros(K), np.zeros(K), np.zeros(K)

    def __call__(self, gradient, i):
        self.t[i] += 1
        self.m[i] = 0.9 * self.m[i] + 0.1 * gradient[i]
        self.v[i] = 0.999 * self.v[i] + 0.001 * gradient[i] ** 2
        m = self.m[i] / (1 - 0.9 ** self.t[i])
        v = self.v[i] / (1 - 0.999 ** self.t[i])
        step = np.zeros(K)
        step[i] = m / (np.sqrt(v) + 1e-8)
        return step


class FAMO(Kept):
    def start(self):
        self.xi, self.adam = np.zeros(K), Adam()

    def __call__(self, losses, losses_after, present):
        rate, decay, lowest = self.arguments
        i = np.flatnonzero(present)
        d, after = (
            np.maximum(x - lowest, 0.0) + 1e-8 for x in (losses, losses_after)
        )
        self.w = self.share(self.xi[i] - np.log(d[i]), i)
        z = softmax(self.xi[i])
        delta = np.log(d[i]) - np.log(after[i])
        t = np.zeros(K)
        t[i] = z * (delta - z @ delta) + decay * self.xi[i]
        self.xi -= rate * self.adam(t, i)
        return self.w
