"""The tasks' gradients at a cut, through representations of their own.

Where one tensor `(B, K, U)` holds them, task k reads slice k alone: one pass
over the heads leaves all their cotangents `δ (B, K, U)`, and a weighted sum of
the tasks goes on from there as one pass. Else each head has a pass, which ends
at its own representation. A mixture `r[b, k] = Σ_e g[b, k, e]
f[b, e]` of experts at the cut takes `g[b, k, e] δ[b, k]` to expert e, and

    <∇L_i, ∇L_j> = Σ_b (g gᵀ)[b, i, j] (δ δᵀ)[b, i, j]

without the `(K, B, E, U)` tensor of all gradients. Heads of one unit start with
a product by `w_k (U,)`, whose cotangent is a number `s[b, k]`: then
`δ[b, k] = s[b, k] w_k`, and that is `<s_i g_i, s_j g_j> <w_i, w_j>`. A leaf of
which each part serves one task has the sum's gradient, part by part.
"""

import functools

import tensorflow as tf

from keras_mtl.gradients.heads import HeadGradients
from keras_mtl.gradients.mixtures import (
    mixture_of,
    mixture_of_each,
    unit_products,
)
from keras_mtl.gradients.owned import OwnedLeaf


def of_stacked(leaves, own, variables, losses, alone):
    """Returns the `OwnCutGradients` of stacked heads.

    Args:
        leaves: List of tensors, the cut.
        own: `(B, K, U)`, the tasks' representations.
        variables: List of the variables of the stacked heads.
        losses: `LocalLosses`.
        alone: List of the `Owners` of the leaves, or `None` where tasks share
            them.
    """
    # Before a backward pass, whose operations read the leaves, too.
    mixtures = [mixture_of(leaf, own) for leaf in leaves]
    products = unit_products(own)
    start, matrix = (own, None) if products is None else products
    mine = _owned_places(mixtures, alone)
    sources = [leaves[number] for number in mine]
    delta, *pulled = losses.of_sum([start, *sources, *variables])
    parts = _parts(mixtures, Cotangents(delta, matrix))
    for number, gradient in zip(mine, pulled, strict=False):
        parts[number] = OwnedLeaf(
            leaves[number], gradient, alone[number], losses.num_tasks
        )
    of_heads = zip(map(id, variables), pulled[len(mine) :], strict=True)
    return OwnCutGradients(
        leaves,
        parts,
        [start],
        [delta],
        HeadGradients([dict(of_heads)], losses.num_tasks),
        losses,
    )


def of_each(leaves, own, heads, losses, alone):
    """Returns those of a head for each task, `None` if none reads a mixture.

    Args:
        leaves: List of tensors, the cut.
        own: List of K tensors, the tasks' representations.
        heads: List of K lists of variables.
        losses: `LocalLosses`.
        alone: As of `of_stacked`.
    """
    mixtures = [mixture_of_each(leaf, own) for leaf in leaves]
    if not any(mixtures):
        return None
    mine = _owned_places(mixtures, alone)
    deltas, of_heads, owned = [], [], {}
    for task, (start, variables) in enumerate(zip(own, heads, strict=True)):
        places = [n for n in mine if task in alone[n].tasks]
        sources = [leaves[number] for number in places]
        delta, *pulled = losses.of_task(task, [start, *sources, *variables])
        deltas.append(delta)
        owned |= zip(places, pulled, strict=False)
        of_heads.append(
            dict(zip(map(id, variables), pulled[len(places) :], strict=True))
        )
    if any(delta is None for delta in deltas):
        return None
    parts = _parts(mixtures, Cotangents(tf.stack(deltas, axis=1), None))
    for number, gradient in owned.items():
        parts[number] = OwnedLeaf(
            leaves[number], gradient, alone[number], losses.num_tasks
        )
    return OwnCutGradients(
        leaves,
        parts,
        own,
        deltas,
        HeadGradients(of_heads, losses.num_tasks),
        losses,
    )


def _owned_places(mixtures, alone):
    """Returns the numbers of the leaves of which each task reads a part."""
    pairs = enumerate(zip(mixtures, alone, strict=True))
    return [n for n, (m, owners) in pairs if m is None and owners is not None]


def _parts(mixtures, cotangents):
    return [None if m is None else MixedLeaf(m, cotangents) for m in mixtures]


class OwnCutGradients:
    """Each task's gradient at the cut, through a representation of its own.

    Args:
        leaves: List of tensors, the cut.
        parts: List of a `MixedLeaf` or `OwnedLeaf` for each, or of `None`
            where it takes a pass for each task to tell their gradients.
        starts: List of tensors that the heads read, for all tasks or each.
        deltas: List of as many gradients of the tasks' sum.
        heads: `HeadGradients`.
        losses: `LocalLosses`.
    """

    def __init__(self, leaves, parts, starts, deltas, heads, losses):
        self.leaves, self.starts, self.heads = leaves, starts, heads
        self._parts, self._deltas, self._losses = parts, deltas, losses

    @property
    def takes_no_pass(self) -> bool:
        """Whether no leaf is left to passes from `starts`."""
        return None not in self._parts

    def gramian(self):
        """Returns the `(K, K)` inner products on this replica."""
        total = tf.zeros((self._losses.num_tasks,) * 2)
        for part, stacked in zip(self._parts, self._of_others, strict=True):
            if part is None:
                flat = _flat(stacked)
                total += tf.matmul(flat, flat, transpose_b=True)
            else:
                total += part.gramian()
        return total

    def squared_norms(self):
        """Returns the `(K,)` squared norms on this replica."""
        total = tf.zeros(self._losses.num_tasks)
        for part, stacked in zip(self._parts, self._of_others, strict=True):
            if part is None:
                total += tf.reduce_sum(_flat(stacked) ** 2, 1)
            else:
                total += part.squared_norms()
        return total

    def combined(self, coefficients):
        """Returns the weighted sum's gradients at the cut."""
        others = iter(self._pull(coefficients))
        return [
            next(others) if part is None else part.combined(coefficients)
            for part in self._parts
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
        pairs = zip(self._parts, self._of_others, strict=True)
        return [
            others if part is None else part.stacked for part, others in pairs
        ]

    @functools.cached_property
    def _of_others(self):
        """The tasks' gradients of leaves that take a pass for each task."""
        places = [n for n, part in enumerate(self._parts) if part is None]
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
        """Returns the weighted sum's gradients of the leaves without a part."""
        pairs = zip(self.leaves, self._parts, strict=True)
        leaves = [leaf for leaf, part in pairs if part is None]
        if not leaves:
            return []
        pulled = self._losses.tape.gradient(
            self.starts, leaves, output_gradients=self.at_starts(coefficients)
        )
        return [
            tf.zeros_like(leaf) if gradient is None else gradient
            for leaf, gradient in zip(leaves, pulled, strict=True)
        ]


class MixedLeaf:
    """The tasks' gradients of a leaf that they read in mixtures alone.

    Args:
        mixture: `Mixture`.
        cotangents: `Cotangents` of the representations.
    """

    def __init__(self, mixture, cotangents):
        self._mixture, self._cotangents = mixture, cotangents

    def gramian(self):
        """Returns the `(K, K)` inner products on this replica."""
        return self._cotangents.gramian(self._mixture.gates)

    def squared_norms(self):
        """Returns the `(K,)` squared norms on this replica."""
        return self._cotangents.squared_norms(self._mixture.gates)

    def combined(self, coefficients):
        """Returns the weighted sum of the tasks' gradients."""
        return self._mixture.summed(self._cotangents, coefficients)

    @property
    def stacked(self):
        """`(K, ...)` tensor, each task's gradient."""
        return self._mixture.pulled(self._cotangents)


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
