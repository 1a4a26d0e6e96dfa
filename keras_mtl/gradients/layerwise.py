"""The Gramian over the encoder's variables, layer by layer."""

import tensorflow as tf

from keras_mtl.gradients.parts import num_elements

# Bytes that the features of all tasks may take before tasks are taken in
# chunks, and those of a slice of them that is multiplied at once.
CHUNK_BYTES, SLICE_BYTES = 640 * 2**20, 2**24


class LayerwiseGradients:
    """Inner products of the tasks' gradients of the encoder's variables.

    Args:
        tape: Persistent tape of the forward pass.
        leaves: List of tensors, the representation.
        parts: List of `Part`.
        cotangents: List of `(K, ...)` tensors, the tasks' gradients of each
            leaf.
    """

    def __init__(self, tape, leaves, parts, cotangents):
        self._tape, self._parts = tape, parts
        self._leaves = leaves
        self._cotangents = cotangents
        self._num_tasks = int(cotangents[0].shape[0])

    def squared_norms(self):
        """Returns the `(K,)` squared norms."""

        def of_task(cotangents):
            total = tf.constant(0.0)
            for part, features in zip(
                self._parts, self._features(cotangents), strict=True
            ):
                if part.kernel is None:
                    total += tf.reduce_sum(features**2)
                else:
                    crossed = part.kernel.matmul(features)
                    total += 2.0 * tf.reduce_sum(features * crossed)
            return total

        return tf.map_fn(
            of_task,
            self._cotangents,
            fn_output_signature=tf.TensorSpec((), tf.float32),
            parallel_iterations=1,
        )

    def gramian(self):
        """Returns the `(K, K)` inner products."""
        per_task = sum(4 * num_elements(part.shape) for part in self._parts)
        number = -(-self._num_tasks * per_task // CHUNK_BYTES)
        if number <= 1:
            return self._block(self._cotangents)
        return self._in_chunks(-(-self._num_tasks // max(2, 2 * number)))

    def _in_chunks(self, chunk):
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
            rows = [tf.gather(c, pair[0]) for c in parted]
            columns = [tf.gather(c, pair[1]) for c in parted]
            return self._block(rows, columns)

        blocks = tf.map_fn(
            of_pair,
            pairs,
            fn_output_signature=tf.TensorSpec((chunk, chunk), tf.float32),
            parallel_iterations=1,
        )
        grid = tf.scatter_nd(pairs, blocks, (number, number, chunk, chunk))
        size = number * chunk
        lower = tf.reshape(tf.transpose(grid, [0, 2, 1, 3]), (size, size))
        lower = tf.linalg.band_part(lower, -1, 0)
        gramian = lower + tf.transpose(lower)
        gramian -= tf.linalg.diag(tf.linalg.diag_part(lower))
        return gramian[: self._num_tasks, : self._num_tasks]

    def _block(self, rows, columns=None):
        """Returns the inner products of two chunks of tasks, or of one."""
        mine = self._stacked_features(rows)
        theirs = mine if columns is None else self._stacked_features(columns)
        size = int(rows[0].shape[0])
        total = tf.zeros((size, size))
        for part, ours, other in zip(self._parts, mine, theirs, strict=True):
            for left, right in zip(ours, other, strict=True):
                # One after the other: all slices at once would need twice
                # the memory of the features.
                with tf.control_dependencies([total]):
                    left = left.stack()
                    right = left if columns is None else right.stack()
                total += _products(part.kernel, left, right)
        return total

    def _stacked_features(self, cotangents):
        """Returns for each part a list of slices of its features.

        Each is a `tf.TensorArray` over the tasks.
        """
        size = int(cotangents[0].shape[0])
        widths = [_widths(part.shape, size) for part in self._parts]
        arrays = [
            [
                tf.TensorArray(
                    tf.float32, size=size, element_shape=(part.shape[0], width)
                )
                for width in of_part
            ]
            for part, of_part in zip(self._parts, widths, strict=True)
        ]

        def body(task, arrays):
            pulled = self._features([tf.gather(c, task) for c in cotangents])
            return task + 1, [
                [
                    array.write(task, piece)
                    for array, piece in zip(
                        of_part, tf.split(features, sizes, axis=1), strict=True
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
        sources = [source for part in self._parts for source in part.sources]
        pulled = iter(
            self._tape.gradient(
                self._leaves, sources, output_gradients=cotangents
            )
        )
        return [
            part.features([next(pulled) for _ in part.sources])
            for part in self._parts
        ]


def _products(kernel, left, right):
    """Returns the inner products of two slices `(k, N, u)` of features."""
    if kernel is None:
        return _inner(left, right)
    product = _inner(left, kernel.matmul(right))
    other = product if left is right else _inner(right, kernel.matmul(left))
    return product + tf.transpose(other)


def _inner(left, right):
    size = left.shape[0]
    left, right = (tf.reshape(t, [size, -1]) for t in (left, right))
    return tf.matmul(left, right, transpose_b=True)


def _widths(shape, num_tasks):
    """Returns the widths of the slices of a feature matrix."""
    width = int(shape[1])
    num_bytes = 4 * num_tasks * num_elements(shape)
    number = -(-num_bytes // SLICE_BYTES)
    # Products are faster for widths that fill vector registers.
    most = max(16, width // number // 16 * 16)
    rest = width % most
    return [most] * (width // most) + ([rest] if rest else [])
