"""Random splits in which every class keeps its share."""

import math

import numpy as np

from keras_mtl.data.shares import largest_remainder


def stratified_split(classes, fraction, rng):
    """Splits rows at random so that each class keeps its share.

    Example:

    >>> rng = np.random.default_rng(0)
    >>> rest, taken = stratified_split([0, 0, 0, 0, 1, 1], 0.5, rng)
    >>> len(rest), len(taken)
    (3, 3)

    Args:
        classes: `(n,)` array, the class of each row.
        fraction: Float between 0 and 1, the share of rows to take.
        rng: `numpy.random.Generator`.

    Returns:
        Two sorted arrays of row numbers, `(rest, taken)`. A class of m rows
        has `fraction * m` rows taken, rounded up or down (largest remainder),
        and keeps at least one in `rest`. Where that leaves too few to round
        up, as with many classes of one row, fewer than `fraction * n` rows are
        taken in all.
    """
    _, codes, counts = np.unique(
        np.asarray(classes), return_inverse=True, return_counts=True
    )
    total = math.floor(len(codes) * fraction + 0.5)
    takes = largest_remainder(counts * fraction, total, counts - 1, rng)
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    rank_in_class = np.arange(len(codes)) - np.repeat(
        np.cumsum(counts) - counts, counts
    )
    taken = rank_in_class < np.repeat(takes, counts)
    return np.sort(order[~taken]), np.sort(order[taken])


def multi_stratified_split(classes, fraction, rng):
    """Splits rows so that the classes of several tasks keep their shares.

    Where each combination of classes can expect a taken row, and for a single
    task, the combinations are the strata of `stratified_split`. Otherwise the
    rows are placed one by one, those of rare classes first, each on the side
    that brings the shares of its classes nearer to `fraction`.

    Args:
        classes: `(n, K)` array, the class of each row in each task.
        fraction: Float between 0 and 1, the share of rows to take.
        rng: `numpy.random.Generator`.

    Returns:
        Two sorted arrays of row numbers, `(rest, taken)`.

    Reference:
        - [Sechidis et al., 2011](https://doi.org/10.1007/978-3-642-23808-6_10),
          whose order, rarest class first, is used.
    """
    classes = np.asarray(classes)
    _, codes, counts = np.unique(
        classes, axis=0, return_inverse=True, return_counts=True
    )
    if classes.shape[1] == 1 or counts.min() * fraction >= 1.0:
        return stratified_split(codes.reshape(-1), fraction, rng)
    labels, counts = _number_classes(classes)
    # A miss by one row weighs more in a rare class.
    weights = 1.0 / counts
    order = rng.permutation(len(labels))
    order = order[np.argsort(counts[labels[order]].min(1), kind="stable")]
    excess = np.zeros(len(counts))
    taken = np.zeros(len(labels), bool)
    for row in order:
        own = labels[row]
        pull = weights[own] @ (excess[own] + 0.5 - fraction)
        taken[row] = pull < 0.0
        excess[own] += taken[row] - fraction
    return np.flatnonzero(~taken), np.flatnonzero(taken)


def _number_classes(classes):
    """Returns class numbers that are unique over tasks, and their counts.

    The last column is one class of all rows, so that their share is kept too.
    """
    columns, start = [], 0
    for column in [*classes.T, np.zeros(len(classes))]:
        values, codes = np.unique(column, return_inverse=True)
        columns.append(codes + start)
        start += len(values)
    labels = np.stack(columns, axis=1)
    return labels, np.bincount(labels.ravel())
