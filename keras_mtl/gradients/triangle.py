"""The product of a matrix with its transpose, of which half is computed."""

import tensorflow as tf

# Rows from which half the work of a triangle is worth two products.
SMALLEST_SPLIT = 128


class Triangle:
    """The lower triangle `L` of `A Aᵀ`, its diagonal halved.

    The upper right quarter is not computed; finer blocks would save more
    operations, but not time.

    Args:
        rows: `(N, I)` float32 matrix `A`, or `(E, N, I)` for E of them.
    """

    def __init__(self, rows):
        size = rows.shape[-2]
        if size is None or size < SMALLEST_SPLIT:
            self._blocks = [_halved(tf.matmul(rows, rows, transpose_b=True))]
            return
        upper, lower = rows[..., : size // 2, :], rows[..., size // 2 :, :]
        square = _halved(tf.matmul(lower, lower, transpose_b=True))
        left = tf.matmul(lower, upper, transpose_b=True)
        self._blocks = [
            _halved(tf.matmul(upper, upper, transpose_b=True)),
            tf.concat([left, square], axis=-1),
        ]

    def inner_products(self, left, right):
        """Returns `<left_i, L right_j>`, row by row.

        Args:
            left: `(k, ..., N, u)` features.
            right: `(n, ..., N, u)`; the same object where that is `left`.

        Returns:
            `(k, n)`.
        """
        if len(self._blocks) == 1:
            return inner_products(left, tf.matmul(*self._blocks, right))
        upper, lower = self._blocks
        sizes = [upper.shape[-2], lower.shape[-2]]
        above, below = tf.split(left, sizes, axis=-2)
        others = above
        if right is not left:
            others = right[..., : sizes[0], :]
        # Block by block: the whole product would be as large as the features.
        product = inner_products(above, tf.matmul(upper, others))
        return product + inner_products(below, tf.matmul(lower, right))


def _halved(square):
    """Returns the lower triangle of a matrix, its diagonal halved."""
    half = 0.5 * tf.linalg.diag_part(square)
    return tf.linalg.set_diag(tf.linalg.band_part(square, -1, 0), half)


def products(triangle, left, right):
    """Returns the inner products of two slices `(k, ..., N, u)` of features.

    Args:
        triangle: `Triangle` of the rows, or `None` where inner products are
            those of features.
        left: Tensor, the slice of the tasks of each row.
        right: That of each column.
    """
    if triangle is None:
        return inner_products(left, right)
    product = triangle.inner_products(left, right)
    other = product
    if left is not right:
        other = triangle.inner_products(right, left)
    return product + tf.transpose(other)


def crossed(total, rows, others, ours, theirs):
    """Returns `total` and the inner products between features of two batches.

    Args:
        total: `(K, K)`.
        rows: `(..., N, I)`, what a matrix multiplies in one batch; `None`
            where inner products are those of features.
        others: The same of the other batch.
        ours: List of `tf.TensorArray` over the tasks, slices of the features.
        theirs: The same of the other batch, or list of them stacked.
    """
    crossing = None
    if rows is not None:
        crossing = tf.matmul(rows, others, transpose_b=True)
    for left, right in zip(ours, theirs, strict=True):
        with tf.control_dependencies([total]):  # One slice after the other.
            left = left.stack()
            right = right if tf.is_tensor(right) else right.stack()
        if crossing is not None:
            right = tf.matmul(crossing, right)
        total += inner_products(left, right)
    return total


def inner_products(left, right):
    """Returns the inner products of two tensors `(k, ...)`, row by row."""
    size = left.shape[0]
    left, right = (tf.reshape(t, [size, -1]) for t in (left, right))
    return tf.matmul(left, right, transpose_b=True)


def mirrored(lower):
    """Returns symmetric matrices `(..., n, n)` of which the lower part is."""
    lower = tf.linalg.band_part(lower, -1, 0)
    both = lower + tf.linalg.matrix_transpose(lower)
    return both - tf.linalg.diag(tf.linalg.diag_part(lower))
