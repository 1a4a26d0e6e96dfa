"""The tasks' gradients at the representation, from one pass over the heads."""

import functools

import tensorflow as tf

from keras_mtl.gradients.heads import HeadGradients
from keras_mtl.gradients.own_cut import of_each, of_stacked
from keras_mtl.gradients.owned import OwnedGradients


def representation_pass(losses, leaves, heads, uses, own=None, alone=()):
    """Returns each task's gradient at the representation, and of its head.

    Args:
        losses: `LocalLosses`.
        leaves: List of tensors, the representation.
        heads: List of lists of the variables of one head each, or of one list
            for all stacked heads.
        uses: `Uses` of the variables, or `None`.
        own: `(B, K, U)` representations, what stacked tasks make of the
            leaves, or list of K of them; `None` where they read the leaves
            themselves.
        alone: List of the `Owners` of the leaves of which each part serves
            one task, else `None`; empty if that is not known.

    Returns:
        `OwnedGradients` where tasks read parts of their own,
        `OwnCutGradients` where each has a representation of its own,
        `LinearHeadGradients` where that is cheaper, or
        `RepresentationGradients`.
    """
    if own is not None:
        alone = alone or [None] * len(leaves)
        if not isinstance(own, list):
            (variables,) = heads
            return of_stacked(leaves, own, variables, losses, alone)
        if uses and (found := of_each(leaves, own, heads, losses, alone)):
            return found
    if losses.owners is not None:
        (variables,) = heads
        pulled = losses.of_sum([*leaves, *variables])
        own = zip(map(id, variables), pulled[len(leaves) :], strict=True)
        of_heads = HeadGradients([dict(own)], losses.num_tasks)
        return OwnedGradients(leaves, pulled[: len(leaves)], losses, of_heads)
    products = _first_products(leaves, uses, heads) if uses else None
    if products:
        outputs, matrices = zip(*products, strict=True)
        flat = [v for variables in heads for v in variables]
        pulled = losses.of_sum([*outputs, *flat])
        deltas, rest = pulled[: len(outputs)], iter(pulled[len(outputs) :])
        if all(delta is not None for delta in deltas):
            of_heads = [{id(v): next(rest) for v in vs} for vs in heads]
            return LinearHeadGradients(
                leaves,
                deltas,
                matrices,
                losses.num_tasks,
                HeadGradients(of_heads, losses.num_tasks),
            )
    at_leaves, of_heads = [], []
    one_each = len(heads) == losses.num_tasks
    if not one_each:
        (variables,) = heads
        pulled = losses.of_sum(variables)
        of_heads = [dict(zip(map(id, variables), pulled, strict=True))]
    for task in range(losses.num_tasks):
        mine = heads[task] if one_each else []
        pulled = losses.of_task(task, [*leaves, *mine])
        at_leaves.append(pulled[: len(leaves)])
        if one_each:
            ids = map(id, mine)
            of_heads.append(dict(zip(ids, pulled[len(leaves) :], strict=True)))
    of_heads = HeadGradients(of_heads, losses.num_tasks)
    return RepresentationGradients(leaves, at_leaves, of_heads)


class RepresentationGradients:
    """Each task's gradient at what all heads start from, and of its head.

    A leaf that some tasks do not read costs no more than those that do.

    Args:
        leaves: List of tensors, the representation.
        gradients: List of K lists, each task's gradient of each leaf; `None`
            where it reads nothing.
        heads: `HeadGradients`.
    """

    def __init__(self, leaves, gradients, heads=None):
        self.leaves, self.heads = leaves, heads
        self._num_tasks = len(gradients)
        self._columns = [
            list(column) for column in zip(*gradients, strict=True)
        ]
        self._readers = [
            [task for task, g in enumerate(column) if g is not None]
            for column in self._columns
        ]

    def gramian(self):
        """Returns the `(K, K)` inner products on this replica."""
        places, products = [], []
        for readers, given in zip(self._readers, self._given, strict=True):
            flat = _flat(given)
            places += [(i, j) for i in readers for j in readers]
            crossed = tf.matmul(flat, flat, transpose_b=True)
            products.append(tf.reshape(crossed, [-1]))
        return self._scattered(places, products, 2)

    def squared_norms(self):
        """Returns the `(K,)` squared norms on this replica."""
        places = [(task,) for readers in self._readers for task in readers]
        squares = [tf.reduce_sum(_flat(g) ** 2, 1) for g in self._given]
        return self._scattered(places, squares, 1)

    def combined(self, coefficients):
        """Returns the sum of the tasks' gradients with these coefficients."""
        # A weight may leave the range of float16 where its product does not.
        return [
            tf.cast(
                tf.tensordot(
                    tf.gather(coefficients, tf.constant(readers, tf.int32)),
                    tf.cast(given, tf.float32),
                    1,
                ),
                given.dtype,
            )
            for readers, given in zip(self._readers, self._given, strict=True)
        ]

    @property
    def stacked(self):
        """List of `(K, ...)` tensors, each task's gradient of each leaf."""
        return [
            given
            if len(readers) == self._num_tasks
            else tf.stack([tf.zeros_like(leaf) if g is None else g for g in c])
            for leaf, readers, given, c in zip(
                self.leaves,
                self._readers,
                self._given,
                self._columns,
                strict=True,
            )
        ]

    @functools.cached_property
    def _given(self):
        """The gradients of the tasks that read each leaf, stacked."""
        return [
            tf.stack([g for g in column if g is not None])
            if readers
            else tf.zeros_like(leaf)[None][:0]
            for leaf, readers, column in zip(
                self.leaves, self._readers, self._columns, strict=True
            )
        ]

    def _scattered(self, places, values, rank):
        """Returns values added up at their places in `(K,)` or `(K, K)`."""
        places = tf.reshape(tf.constant(places, tf.int32), [-1, rank])
        shape = [self._num_tasks] * rank
        return tf.scatter_nd(places, tf.concat(values, axis=0), shape)


class LinearHeadGradients:
    """The same where every head starts with a matrix of its own.

    Task k's gradient is `Δ_k W_kᵀ`, so that inner products follow from those
    of `Δ_k (B, u_k)` and `W_k (D, u_k)`, and no `(K, B, D)` tensor is made.

    Args:
        leaves: List of one `(B, D)` tensor, the representation.
        deltas: List of K tensors `(B, u_k)`, gradients of the products, or
            list of one for all stacked heads.
        matrices: List of as many tensors `(D, u_k)`.
        num_tasks: Integer, K.
        heads: `HeadGradients`.
    """

    def __init__(self, leaves, deltas, matrices, num_tasks, heads):
        self.leaves = leaves
        self.heads = heads
        self._sizes = [
            int(delta.shape[-1]) * len(deltas) // num_tasks
            for delta in deltas
            for _ in range(num_tasks // len(deltas))
        ]
        # A head may be of another precision than the encoder.
        deltas, matrices = (
            [tf.cast(tensor, tf.float32) for tensor in tensors]
            for tensors in (deltas, matrices)
        )
        self._deltas = tf.concat(deltas, axis=1)
        self._matrices = tf.concat(matrices, axis=1)

    def gramian(self):
        """Returns the `(K, K)` inner products on this replica."""
        if not _narrow(self._sizes, self.leaves):
            return _gramian(self.stacked)
        crossed = tf.matmul(self._deltas, self._deltas, transpose_a=True)
        crossed *= tf.matmul(self._matrices, self._matrices, transpose_a=True)
        return self._sum_columns(self._sum_columns(crossed))

    def squared_norms(self):
        """Returns the `(K,)` squared norms on this replica."""
        return tf.linalg.diag_part(self.gramian())

    def combined(self, coefficients):
        """Returns the sum of the tasks' gradients with these coefficients."""
        of_column = tf.gather(coefficients, self._owner())
        weighted = self._deltas * of_column
        total = tf.matmul(weighted, self._matrices, transpose_b=True)
        return [tf.cast(total, self.leaves[0].dtype)]

    @property
    def stacked(self):
        """List of one `(K, B, D)` tensor."""
        if len(set(self._sizes)) == 1:
            shape = (-1, len(self._sizes), self._sizes[0])
            deltas = tf.reshape(self._deltas, shape)
            matrices = tf.reshape(self._matrices, shape)
            stacked = tf.einsum("bku,dku->kbd", deltas, matrices)
        else:
            pairs = zip(
                tf.split(self._deltas, self._sizes, axis=1),
                tf.split(self._matrices, self._sizes, axis=1),
                strict=True,
            )
            stacked = tf.stack(
                [tf.matmul(a, b, transpose_b=True) for a, b in pairs]
            )
        return [tf.cast(stacked, self.leaves[0].dtype)]

    def _sum_columns(self, values):
        """Adds up each task's columns, and transposes: `(n, U)` to `(K, n)`."""
        return tf.math.unsorted_segment_sum(
            tf.transpose(values), self._owner(), len(self._sizes)
        )

    def _owner(self):
        return tf.repeat(tf.range(len(self._sizes)), self._sizes)


def _first_products(leaves, uses, heads):
    """Returns for each head the product that it starts with, and its matrix.

    `None` where one starts otherwise, or is no cheaper by its products.
    """
    found = []
    for variables in heads:
        mine = [
            use.output
            for variable in variables
            for use in uses.of(variable)
            if use.kind == "product" and use.output.name in uses.products
        ]
        if len(mine) != 1:
            return None
        found.append((mine[0], uses.products[mine[0].name].inputs[1]))
    if len(found) != len(uses.products):
        return None
    # Stacked heads have no other way that does not run them once per task.
    sizes = [matrix.shape[1] for _, matrix in found]
    return found if len(heads) == 1 or _narrow(sizes, leaves) else None


def _narrow(sizes, leaves):
    """Whether products of units cost less than those of representations.

    `U²(B + D)` operations against `K²BD`; the batch is taken to be above D.
    """
    return 2 * max(sizes) ** 2 <= leaves[0].shape[1]


def _gramian(stacked):
    flat = [_flat(tensor) for tensor in stacked]
    return tf.add_n([tf.matmul(f, f, transpose_b=True) for f in flat])


def _flat(tensor):
    tensor = tf.cast(tensor, tf.float32)
    return tf.reshape(tensor, [tensor.shape[0], -1])
