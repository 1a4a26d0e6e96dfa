"""The tasks' gradients at a cut, through representations of their own.

Where one tensor `(B, K, U)` holds them, task k reads slice k alone: one pass
over the heads leaves all their cotangents `δ (B, K, U)`, and a weighted sum of
the tasks goes on from there as one pass. Else each head has a pass, which ends
at its own representation. A mixture `r[b, k] = Σ_e g[b, k, e]
f[b, e]` of experts at the cut takes `g[b, k, e] δ[b, k]` to expert e, and

    <∇L_i, ∇L_j> = Σ_b (g gᵀ)[b, i, j] (δ δᵀ)[b, i, j]

without the `(K, B, E, U)` tensor of all gradients. Heads of one unit start with
a product by `w_k (U,)`, whose cotangent is a number `s[b, k]`: then
`δ[b, k] = s[b, k] w_k`, and that is `<s_i g_i, s_j g_j> <w_i, w_j>`.
"""

import functools

import tensorflow as tf

from keras_mtl.gradients.heads import HeadGradients
from keras_mtl.gradients.mixtures import (
    mixture_of,
    mixture_of_each,
    unit_products,
)


def of_stacked(leaves, own, variables, losses):
    """Returns the `OwnCutGradients` of stacked heads.

    Args:
        leaves: List of tensors, the cut.
        own: `(B, K, U)`, the tasks' representations.
        variables: List of the variables of the stacked heads.
        losses: `LocalLosses`.
    """
    # Before a backward pass, whose operations read the leaves, too.
    mixtures = [mixture_of(leaf, own) for leaf in leaves]
    products = unit_products(own)
    start, matrix = (own, None) if products is None else products
    delta, *pulled = losses.of_sum([start, *variables])
    of_heads = dict(zip(map(id, variables), pulled, strict=True))
    return OwnCutGradients(
        leaves,
        mixtures,
        [start],
        [delta],
        Cotangents(delta, matrix),
        HeadGradients([of_heads], losses.num_tasks),
        losses,
    )


def of_each(leaves, own, heads, losses):
    """Returns those of a head for each task, `None` if none reads a mixture.

    Args:
        leaves: List of tensors, the cut.
        own: List of K tensors, the tasks' representations.
        heads: List of K lists of variables.
        losses: `LocalLosses`.
    """
    mixtures = [mixture_of_each(leaf, own) for leaf in leaves]
    if not any(mixtures):
        return None
    deltas, of_heads = [], []
    for task, (start, mine) in enumerate(zip(own, heads, strict=True)):
        delta, *pulled = losses.of_task(task, [start, *mine])
        deltas.append(delta)
        of_heads.append(dict(zip(map(id, mine), pulled, strict=True)))
    if any(delta is None for delta in deltas):
        return None
    return OwnCutGradients(
        leaves,
        mixtures,
        own,
        deltas,
        Cotangents(tf.stack(deltas, axis=1), None),
        HeadGradients(of_heads, losses.num_tasks),
        losses,
    )


class OwnCutGradients:
    """Each task's gradient at the cut, through a representation of its own.

    Args:
        leaves: List of tensors, the cut.
        mixtures: List of as many `Mixture` or `None`.
        starts: List of tensors that the heads read, for all tasks or each.
        deltas: List of as many gradients of the tasks' sum.
        cotangents: `Cotangents` of all tasks.
        heads: `HeadGradients`.
        losses: `LocalLosses`.
    """

    def __init__(
        self, leaves, mixtures, starts, deltas, cotangents, heads, losses
    ):
        self.leaves, self.starts, self.heads = leaves, starts, heads
        self._mixtures, self._deltas = mixtures, deltas
        self._cotangents, self._losses = cotangents, losses

    @property
    def are_mixtures(self) -> bool:
        """Whether the tasks read the cut in mixtures alone."""
        return None not in self._mixtures

    def gramian(self):
        """Returns the `(K, K)` inner products on this replica."""
        total = tf.zeros((self._losses.num_tasks,) * 2)
        for mixture, stacked in zip(
            self._mixtures, self._of_others, strict=True
        ):
            if mixture is None:
                flat = _flat(stacked)
                total += tf.matmul(flat, flat, transpose_b=True)
            else:
                total += self._cotangents.gramian(mixture.gates)
        return total

    def squared_norms(self):
        """Returns the `(K,)` squared norms on this replica."""
        total = tf.zeros(self._losses.num_tasks)
        for mixture, stacked in zip(
            self._mixtures, self._of_others, strict=True
        ):
            if mixture is None:
                total += tf.reduce_sum(_flat(stacked) ** 2, 1)
            else:
                total += self._cotangents.squared_norms(mixture.gates)
        return total

    def combined(self, coefficients):
        """Returns the weighted sum's gradients at the cut."""
        others = iter(self._pull(coefficients))
        return [
            next(others)
            if mixture is None
            else mixture.summed(self._cotangents, coefficients)
            for mixture in self._mixtures
        ]

    def at_starts(self, coefficients):
        """Returns the weighted sum's gradient at `starts`, above the cut."""
        if len(self._deltas) > 1:
            factors = tf.unstack(coefficients)
        else:
            (delta,) = self._deltas
            shape = [-1, *[1] * (delta.shape.rank - 2)]
            factors = [tf.reshape(coefficients, shape)]
        return [
            tf.cast(tf.cast(delta, tf.float32) * factor, delta.dtype)
            for delta, factor in zip(self._deltas, factors, strict=True)
        ]

    @property
    def stacked(self):
        """List of `(K, ...)` tensors, each task's gradient of each leaf."""
        return [
            others if mixture is None else mixture.pulled(self._cotangents)
            for mixture, others in zip(
                self._mixtures, self._of_others, strict=True
            )
        ]

    @functools.cached_property
    def _of_others(self):
        """The tasks' gradients of leaves that no product alone reads."""
        places = [n for n, m in enumerate(self._mixtures) if m is None]
        found = [None] * len(self.leaves)
        tasks = range(self._losses.num_tasks if places else 0)
        rows = [
            self._pull(tf.one_hot(task, self._losses.num_tasks))
            for task in tasks
        ]
        for place, column in zip(places, zip(*rows, strict=True), strict=False):
            found[place] = tf.stack(column)
        return found

    def _pull(self, coefficients):
        """Returns the weighted sum's gradients where no mixture is read."""
        pairs = zip(self.leaves, self._mixtures, strict=True)
        leaves = [leaf for leaf, mixture in pairs if mixture is None]
        if not leaves:
            return []
        pulled = self._losses.tape.gradient(
            self.starts, leaves, output_gradients=self.at_starts(coefficients)
        )
        return [
            tf.zeros_like(leaf) if gradient is None else gradient
            for leaf, gradient in zip(leaves, pulled, strict=True)
        ]


class Cotangents:
    """The cotangents `δ (B, K, U)` of all tasks' representations.

    Args:
        delta: `(B, K, U)`; or `(B, K)`, of products with `matrix`.
        matrix: `(K, U)`, or `None`.
    """

    def __init__(self, delta, matrix):
        self._delta = tf.cast(delta, tf.float32)
        self._matrix = None if matrix is None else tf.cast(matrix, tf.float32)

    def gramian(self, gates):
        """Returns `(K, K)` inner products of `(K, B, E, U)` gradients."""
        if self._matrix is None:
            crossed = tf.matmul(gates, gates, transpose_b=True)
            crossed *= tf.matmul(self._delta, self._delta, transpose_b=True)
            return tf.reduce_sum(crossed, axis=0)
        scaled = _flat(tf.transpose(gates * self._delta[..., None], [1, 0, 2]))
        products = tf.matmul(scaled, scaled, transpose_b=True)
        return products * tf.matmul(
            self._matrix, self._matrix, transpose_b=True
        )

    def squared_norms(self, gates):
        """Returns the `(K,)` squared norms of `(K, B, E, U)` gradients."""
        squares = tf.reduce_sum(gates**2, axis=2)
        if self._matrix is None:
            squares *= tf.reduce_sum(self._delta**2, axis=2)
            return tf.reduce_sum(squares, axis=0)
        squares = tf.reduce_sum(squares * self._delta**2, axis=0)
        return squares * tf.reduce_sum(self._matrix**2, axis=1)

    def einsum(self, gates, result):
        """Returns products with gates `bke`, arranged or summed as `result`."""
        if self._matrix is None:
            return tf.einsum(f"bke,bku->{result}", gates, self._delta)
        gates = gates * self._delta[..., None]
        return tf.einsum(f"bke,ku->{result}", gates, self._matrix)


def _flat(tensor):
    tensor = tf.cast(tensor, tf.float32)
    return tf.reshape(tensor, [tensor.shape[0], -1])
