"""Formulas of METHODS2 in float64 NumPy, one step a call.

Papers' forms, task by task: lists of the past, loops over pairs, groupings
tried one by one. An absent task keeps its statistics; of weights that sum to
K, it keeps its own, and the others share what is left.
"""

import itertools

import numpy as np

from tests.weighters.formulas import K, P, shortest


def softmax(z):
    powers = np.exp(z - z.max())
    return powers / powers.sum()


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
