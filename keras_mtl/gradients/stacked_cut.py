"""The tasks' gradients at a cut, where one tensor holds what each makes of it.

Task k reads slice k of the representations `(B, K, U)` alone. So one pass over
the heads leaves all their cotangents `δ (B, K, U)`, and a weighted sum of the
tasks goes on from there as one pass. A mixture `r[b, k] = Σ_e g[b, k, e]
f[b, e]` of experts at the cut takes `g[b, k, e] δ[b, k]` to expert e, and

    <∇L_i, ∇L_j> = Σ_b (g gᵀ)[b, i, j] (δ δᵀ)[b, i, j]

without the `(K, B, E, U)` tensor of all gradients.
"""

import functools
from typing import NamedTuple

import tensorflow as tf

from keras_mtl.gradients.contractions import labels_of
from keras_mtl.gradients.heads import HeadGradients


class StackedCutGradients:
    """Each task's gradient at the cut, from one pass over all heads.

    Args:
        leaves: List of tensors, the cut.
        own: `(B, K, U)`, the tasks' representations.
        variables: List of the variables of the stacked heads.
        losses: `LocalLosses`.
    """

    def __init__(self, leaves, own, variables, losses):
        self.leaves, self.starts = leaves, [own]
        self._losses = losses
        # Before a backward pass, whose operations read the leaves, too.
        self._mixtures = [_mixture(leaf, own) for leaf in leaves]
        self._delta, *pulled = losses.of_sum([own, *variables])
        of_heads = dict(zip(map(id, variables), pulled, strict=True))
        self.heads = HeadGradients([of_heads], losses.num_tasks)

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
                gates, delta = mixture.gates, tf.cast(self._delta, tf.float32)
                crossed = tf.matmul(gates, gates, transpose_b=True)
                crossed *= tf.matmul(delta, delta, transpose_b=True)
                total += tf.reduce_sum(crossed, axis=0)
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
                delta = tf.cast(self._delta, tf.float32)
                squares = tf.reduce_sum(mixture.gates**2, axis=2)
                squares *= tf.reduce_sum(delta**2, axis=2)
                total += tf.reduce_sum(squares, axis=0)
        return total

    def combined(self, coefficients):
        """Returns the weighted sum's gradient at the representations."""
        delta = tf.cast(self._delta, tf.float32) * coefficients[:, None]
        return [tf.cast(delta, self._delta.dtype)]

    @property
    def stacked(self):
        """List of `(K, ...)` tensors, each task's gradient of each leaf."""
        return [
            others if mixture is None else mixture.pulled(self._delta)
            for mixture, others in zip(
                self._mixtures, self._of_others, strict=True
            )
        ]

    @functools.cached_property
    def _of_others(self):
        """The tasks' gradients of leaves that no product alone reads."""
        places = [n for n, m in enumerate(self._mixtures) if m is None]
        found = [None] * len(self.leaves)
        sources = [self.leaves[n] for n in places]
        rows = []
        for task in range(self._losses.num_tasks if places else 0):
            mine = tf.one_hot(task, self._losses.num_tasks)
            rows.append(
                self._losses.tape.gradient(
                    self.starts, sources, output_gradients=self.combined(mine)
                )
            )
        for place, column in zip(places, zip(*rows, strict=True), strict=False):
            leaf = self.leaves[place]
            found[place] = tf.stack(
                [tf.zeros_like(leaf) if g is None else g for g in column]
            )
        return found


class Mixture(NamedTuple):
    """How the representations are made of a leaf.

    Args:
        gates: `(B, K, E)` float32.
        leaf: The leaf, its axes those of `labels`.
        labels: String of three letters: b, e and u in the leaf's order.
    """

    gates: tf.Tensor
    leaf: tf.Tensor
    labels: str

    def pulled(self, delta):
        """Returns the tasks' gradients at the leaf, `(K, ...)`."""
        gates = tf.cast(self.gates, delta.dtype)
        equation = f"bke,bku->k{self.labels}"
        return tf.cast(tf.einsum(equation, gates, delta), self.leaf.dtype)


def _mixture(leaf, own):
    """Returns the `Mixture` of a leaf that one product alone reads, or `None`.

    The product must be the representations themselves.
    """
    if not tf.is_symbolic_tensor(leaf):
        return None
    tensor = leaf
    while True:
        consumers = tensor.consumers()
        if len(consumers) != 1:
            return None
        (op,) = consumers
        if op.type not in ("Cast", "Identity"):
            break
        (tensor,) = op.outputs
    found = labels_of(op)
    alone = sum(operand is tensor for operand in op.inputs) == 1
    if not alone or found is None or not _is(own, op.outputs[0]):
        return None
    place = 0 if op.inputs[0] is tensor else 1
    ours, theirs, result = found[place], found[1 - place], found[2]
    if len(ours) != 3 or len(theirs) != 3 or len(result) != 3:
        return None
    batch, task, unit = result
    experts = set(ours) - {batch, unit}
    if len(experts) != 1 or set(ours) & {task}:
        return None
    (expert,) = experts
    if set(theirs) != {batch, task, expert}:
        return None
    gates = op.inputs[1 - place]
    if gates.shape[theirs.index(expert)] != tensor.shape[ours.index(expert)]:
        return None  # Stretched along an axis of length 1.
    gates = tf.einsum(f"{theirs}->{batch}{task}{expert}", gates)
    names = {batch: "b", expert: "e", unit: "u"}
    return Mixture(
        tf.cast(gates, tf.float32), leaf, "".join(names[x] for x in ours)
    )


def _is(own, product):
    """Whether a product arrives as `own`, unchanged."""
    while own is not product:
        if own.op.type not in ("Cast", "Identity"):
            return False
        (own,) = own.op.inputs
    return True


def _flat(tensor):
    tensor = tf.cast(tensor, tf.float32)
    return tf.reshape(tensor, [tensor.shape[0], -1])
