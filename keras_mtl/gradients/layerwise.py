"""Inner products of the tasks' gradients of variables, layer by layer."""

import tensorflow as tf

from keras_mtl.gradients.triangle import (
    Triangle,
    crossed,
    mirrored,
    products,
)

# Bytes that the features of all tasks may take before tasks are taken in
# chunks, and those of a slice of them that is multiplied at once.
CHUNK_BYTES, SLICE_BYTES = 640 * 2**20, 2**24


class LayerwiseGradients:
    """The tasks' gradients of variables, by the features of their parts.

    Args:
        tape: Persistent tape of the forward pass.
        leaves: List of tensors, the representation.
        parts: List of `Part`.
        cotangents: List of `(K, ...)` tensors, the tasks' gradients of each
            leaf.
        above: Dict from `ref()` of the sources that the losses do not reach
            through the leaves, to the tasks' `(K, ...)` gradients of them.
    """

    def __init__(self, tape, leaves, parts, cotangents, above):
        self.parts = parts
        self._tape, self._leaves = tape, leaves
        self._above = list(above)
        self._cotangents = [*cotangents, *above.values()]
        self._num_tasks = int(self._cotangents[0].shape[0])
        self._kept, self._kept_widths = {}, {}
        self._arrays = None

    def squared_norms(self):
        """Returns the `(K,)` squared norms."""
        triangles = self._triangles()

        def of_task(cotangents):
            total = tf.constant(0.0)
            for triangle, features in zip(
                triangles, self._features(cotangents), strict=True
            ):
                features = features[None]
                total += products(triangle, features, features)[0, 0]
            return total

        return tf.map_fn(
            of_task,
            self._cotangents,
            fn_output_signature=tf.TensorSpec((), tf.float32),
            parallel_iterations=1,
        )

    def gramian(self):
        """Returns the `(K, K)` inner products."""
        return tf.reduce_sum(self.shares(), axis=0)

    def shares(self):
        """Returns the `(parts, K, K)` inner products of each part."""
        triangles = self._triangles()
        per_task = sum(4 * part.num_elements for part in self.parts)
        number = -(-self._num_tasks * per_task // CHUNK_BYTES)
        if number <= 1:
            self._arrays = self._stacked_features(self._cotangents)
            return self._block(triangles, self._arrays)
        chunk = -(-self._num_tasks // max(2, 2 * number))
        return self._in_chunks(triangles, chunk)

    def combined(self, weights):
        """Returns `{id(variable): gradient}`, the tasks' weighted sums.

        Call it after `shares`, whose features are used again where they are
        all at hand.

        Args:
            weights: List of `(K,)` tensors, one for each part.
        """
        if self._arrays is None:
            totals = self._accumulated(tf.stack(weights, axis=1))
        else:
            totals = [
                tf.concat(
                    [tf.tensordot(w, piece.stack(), 1) for piece in pieces],
                    axis=-1,
                )
                for w, pieces in zip(weights, self._arrays, strict=True)
            ]
        return {
            _key(part): part.gradient(total)
            for part, total in zip(self.parts, totals, strict=True)
        }

    def keep(self):
        """Computes all features, for `products_with` to use later."""
        self._keep_widths()
        arrays = self._stacked_features(self._cotangents)
        self._kept = {
            _key(part): [piece.stack() for piece in of_part]
            for part, of_part in zip(self.parts, arrays, strict=True)
        }

    def _keep_widths(self):
        self._kept_widths = {
            _key(part): _widths(part, self._num_tasks) for part in self.parts
        }

    def products_with(self, other):
        """Returns the `(K, K)` inner products with those of another batch.

        Args:
            other: `LayerwiseGradients` that were kept, with a part to match
                each of these.
        """
        rows = {_key(part): part.rows for part in other.parts}
        self._kept_widths = other._kept_widths
        total = tf.zeros((self._num_tasks,) * 2)
        arrays = self._stacked_features(self._cotangents)
        for part, ours in zip(self.parts, arrays, strict=True):
            key = _key(part)
            theirs = other._kept[key]
            total = crossed(total, part.rows, rows[key], ours, theirs)
        return total

    def _triangles(self):
        return [
            None if part.rows is None else Triangle(part.rows)
            for part in self.parts
        ]

    def _in_chunks(self, triangles, chunk):
        """Returns the Gramian, with the features of two chunks at a time."""
        number = -(-self._num_tasks // chunk)
        missing = number * chunk - self._num_tasks
        # Gradients of 0 for the tasks that fill the last chunk up.
        parted = [
            tf.reshape(
                tf.pad(c, [[0, missing], *[[0, 0]] * (c.shape.rank - 1)]),
                tf.concat([[number, chunk], tf.shape(c)[1:]], axis=0),
            )
            for c in self._cotangents
        ]
        pairs = tf.constant(
            [(i, j) for i in range(number) for j in range(i + 1)]
        )

        def of_pair(pair):
            rows, columns = (
                self._stacked_features([tf.gather(c, side) for c in parted])
                for side in tf.unstack(pair)
            )
            return self._block(triangles, rows, columns)

        count, size = len(self.parts), number * chunk
        blocks = tf.map_fn(
            of_pair,
            pairs,
            fn_output_signature=tf.TensorSpec((count, chunk, chunk)),
            parallel_iterations=1,
        )
        shape = (number, number, count, chunk, chunk)
        grid = tf.transpose(
            tf.scatter_nd(pairs, blocks, shape), (2, 0, 3, 1, 4)
        )
        gramian = mirrored(tf.reshape(grid, (count, size, size)))
        return gramian[:, : self._num_tasks, : self._num_tasks]

    def _block(self, triangles, rows, columns=None):
        """Returns the inner products of two chunks of tasks, or of one.

        Of their features, as `_stacked_features` returns them.
        """
        shares, last = [], ()
        theirs = rows if columns is None else columns
        for triangle, ours, other in zip(triangles, rows, theirs, strict=True):
            total = 0.0
            for left, right in zip(ours, other, strict=True):
                # One after the other: all slices at once would need twice
                # the memory of the features.
                with tf.control_dependencies(last):
                    left = left.stack()
                    right = left if columns is None else right.stack()
                total += products(triangle, left, right)
                last = [total]
            shares.append(total)
        return tf.stack(shares)

    def _accumulated(self, weights):
        """Returns each part's sum of features, by weights `(K, parts)`."""

        def of_task(task):
            pulled = self._features(
                [tf.gather(c, task) for c in self._cotangents]
            )
            factors = tf.unstack(tf.gather(weights, task))
            return [w * f for w, f in zip(factors, pulled, strict=True)]

        def body(task, totals):
            pairs = zip(totals, of_task(task), strict=True)
            return task + 1, [total + more for total, more in pairs]

        return tf.while_loop(
            lambda task, _: task < self._num_tasks,
            body,
            (1, of_task(0)),
            parallel_iterations=1,
            maximum_iterations=self._num_tasks - 1,
        )[1]

    def _stacked_features(self, cotangents):
        """Returns for each part a list of slices of its features.

        Each is a `tf.TensorArray` over the tasks.
        """
        size = int(cotangents[0].shape[0])
        widths = [
            self._kept_widths.get(_key(part)) or _widths(part, size)
            for part in self.parts
        ]
        arrays = [
            [
                tf.TensorArray(
                    tf.float32,
                    size=size,
                    element_shape=(*part.shape[:-1], width),
                )
                for width in of_part
            ]
            for part, of_part in zip(self.parts, widths, strict=True)
        ]

        def body(task, arrays):
            pulled = self._features([tf.gather(c, task) for c in cotangents])
            return task + 1, [
                [
                    array.write(task, piece)
                    for array, piece in zip(
                        of_part, tf.split(features, sizes, axis=-1), strict=True
                    )
                ]
                for of_part, sizes, features in zip(
                    arrays, widths, pulled, strict=True
                )
            ]

        return tf.while_loop(
            lambda task, _: task < size,
            body,
            (0, arrays),
            parallel_iterations=1,
            maximum_iterations=size,
        )[1]

    def _features(self, cotangents):
        """Returns one task's features of each part."""
        below = cotangents[: len(self._leaves)]
        given = cotangents[len(self._leaves) :]
        pulled = dict(zip(self._above, given, strict=True))
        sources = [
            source
            for part in self.parts
            for source in part.sources
            if source.ref() not in pulled
        ]
        found = self._tape.gradient(
            self._leaves, sources, output_gradients=below
        )
        pairs = zip(sources, found, strict=True)
        pulled |= {source.ref(): gradient for source, gradient in pairs}
        return [
            part.features([pulled[source.ref()] for source in part.sources])
            for part in self.parts
        ]


def _key(part):
    return id(part.variable)


def _widths(part, num_tasks):
    """Returns the widths of the slices of a part's features."""
    width = int(part.shape[-1])
    num_bytes = 4 * num_tasks * part.num_elements
    number = -(-num_bytes // SLICE_BYTES)
    # Products are faster for widths that fill vector registers.
    most = max(16, width // number // 16 * 16)
    rest = width % most
    return [most] * (width // most) + ([rest] if rest else [])
