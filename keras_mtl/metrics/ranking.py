"""Average precision and area under the ROC curve of many tasks, by one sort."""

from typing import Any, NamedTuple

import numpy as np

# Numbers that are sorted at once: they and what follows stay in the cache.
BLOCK = 2**15
_LOW = np.uint64(2**32 - 1)


def average_precision(labels: Any, scores: Any, weights: Any = None):
    """Returns each task's average precision, `Σ (R_n - R_{n-1}) P_n`.

    Precision P and recall R are taken at every distinct score, as
    scikit-learn's `average_precision_score` does, for all tasks at once.

    Example:

    >>> average_precision([[0], [0], [1], [1]], [[0.1], [0.4], [0.35], [0.8]])
    array([0.83333333])

    Args:
        labels: `(n, K)` or `(n,)` of 0 and 1. Any value where the weight is 0.
        scores: The same shape, larger for more likely.
        weights: The same shape, or `(n,)` for all tasks: 0 where a label is
            missing. 1 by default.

    Returns:
        `(K,)` float64, NaN for a task without a positive label.

    Raises:
        ValueError: If shapes differ, a label is neither 0 nor 1, a score is
            NaN or a weight negative.
    """
    return _of_blocks(_average_precision, labels, scores, weights)


def _average_precision(curves):
    positive, counted = curves.positive, curves.counted
    precision = positive / np.maximum(counted, np.finfo("float64").tiny)
    return curves.sum(precision * curves.steps(positive)) / (
        curves.last(positive)
    )


def roc_auc(labels: Any, scores: Any, weights: Any = None):
    """Returns each task's area under the ROC curve.

    The share of pairs of a positive and a negative label whose scores are in
    order, ties counted half, as scikit-learn's `roc_auc_score`.

    Example:

    >>> roc_auc([[0], [0], [1], [1]], [[0.1], [0.4], [0.35], [0.8]])
    array([0.75])

    Args:
        labels: As for `average_precision`.
        scores: As for `average_precision`.
        weights: As for `average_precision`.

    Returns:
        `(K,)` float64, NaN for a task that lacks labels of one kind.

    Raises:
        ValueError: As `average_precision`.
    """
    return _of_blocks(_roc_auc, labels, scores, weights)


def _roc_auc(curves):
    positive, negative = curves.positive, curves.counted - curves.positive
    height = positive - 0.5 * curves.steps(positive)
    area = curves.sum(height * curves.steps(negative))
    return area / (curves.last(positive) * curves.last(negative))


class _Curves(NamedTuple):
    """Sums of weights down to each distinct score, all tasks in one row.

    Args:
        positive: `(N,)` sums of the positive labels' weights.
        counted: `(N,)` sums of all weights.
        starts: `(K,)` integers, where each task's scores start.
    """

    positive: np.ndarray
    counted: np.ndarray
    starts: np.ndarray

    def steps(self, sums):
        """Returns what each score adds to the sums."""
        steps = np.diff(sums, prepend=0.0)
        steps[self.starts] = sums[self.starts]
        return steps

    def sum(self, values):
        """Returns the sum of each task's values."""
        return np.add.reduceat(values, self.starts)

    def last(self, sums):
        """Returns the sums over all scores, `(K,)`."""
        return sums[np.append(self.starts[1:], len(sums)) - 1]


def _of_blocks(function, labels, scores, weights):
    labels, scores, weights = _shaped(labels, scores, weights)
    rows, num_tasks = labels.shape
    width = max(1, BLOCK // rows)
    # Tasks in rows, once: a block would read a line of memory for a number.
    by_task: list[Any] = [
        None if array is None else np.ascontiguousarray(array.T)
        for array in (labels, scores, weights)
    ]
    labels, scores, weights = by_task
    results = []
    for start in range(0, num_tasks, width):
        part = slice(start, start + width)
        mine = None if weights is None else weights[part]
        curves = _curves(labels[part], scores[part], mine, start)
        with np.errstate(invalid="ignore", divide="ignore"):
            results.append(function(curves))
    return np.concatenate(results)


def _curves(labels, scores, weights, start):
    """Returns the curves of `(k, n)` arrays, tasks `start` and on."""
    positive = labels == 1
    present = None if weights is None else weights != 0.0
    _check(labels, positive, scores, weights, present, start)
    if present is not None:
        positive &= present
        scores = np.where(present, scores, -np.inf)
    alike = present is None or np.array_equal(weights, present)
    if scores.dtype != np.float32:
        if alike:
            return _by_rank(positive, scores, present)
        return _by_order(positive, scores, weights)
    keys = _descending_keys(scores)
    if not alike:
        keys |= np.arange(keys.shape[1], dtype="uint64")
        keys.sort(axis=1)
        order = (keys & _LOW).astype("int64")
        return _summed(positive, weights, order, keys >> np.uint64(32))
    # What a row counts for travels with its score: two sums of one integer.
    keys |= positive * np.uint64(2)
    keys |= np.uint64(1) if present is None else present.astype("uint64")
    keys.sort(axis=1)
    ends, starts = _ends(keys >> np.uint64(32))
    keys &= np.uint64(3)
    keys |= (keys & np.uint64(2)) << np.uint64(31)
    keys &= np.uint64(2**32 + 1)
    sums = np.cumsum(keys, axis=1)[ends]
    positive = (sums >> np.uint64(32)).astype("float64")
    return _Curves(positive, (sums & _LOW).astype("float64"), starts)


def _by_rank(positive, scores, present):
    """Returns the curves of weights of 1, or 0 for scores of minus infinity."""
    negative = -scores
    order = np.argsort(negative, axis=1)
    ends, starts = _ends(np.take_along_axis(negative, order, axis=1))
    positive = np.cumsum(np.take_along_axis(positive, order, axis=1), axis=1)
    counted = np.arange(1.0, scores.shape[1] + 1.0)
    counted = np.broadcast_to(counted, scores.shape)
    if present is not None:
        counted = np.minimum(counted, present.sum(axis=1, keepdims=True))
    return _Curves(positive[ends].astype("float64"), counted[ends], starts)


def _by_order(positive, scores, weights):
    negative = -scores
    order = np.argsort(negative, axis=1)
    scores = np.take_along_axis(negative, order, axis=1)
    return _summed(positive, weights, order, scores)


def _summed(positive, weights, order, scores):
    weights = np.broadcast_to(weights, positive.shape)
    ends, starts = _ends(scores)
    sums = (
        np.cumsum(np.take_along_axis(values, order, axis=1), axis=1)[ends]
        for values in (weights * positive, weights)
    )
    return _Curves(*sums, starts)


def _ends(scores):
    """Returns where each distinct score ends, and each task's first of them."""
    ends = np.ones(scores.shape, bool)
    np.not_equal(scores[:, 1:], scores[:, :-1], out=ends[:, :-1])
    number = np.count_nonzero(ends, axis=1)
    return ends, np.cumsum(number) - number


def _descending_keys(scores):
    """Returns uint64 whose upper half is smaller for a larger float32."""
    bits = (scores + np.float32(0.0)).view("uint32")  # 0.0 for -0.0.
    # All bits turned for a negative score, all but the sign for others.
    turned = (bits.view("int32") >> 31).view("uint32") | np.uint32(2**31)
    return (~(bits ^ turned)).astype("uint64") << np.uint64(32)


def _shaped(labels, scores, weights):
    """Returns three `(n, K)` arrays; weights of 1 stay `None`."""
    labels, scores = np.asarray(labels), np.asarray(scores)
    if scores.dtype != np.float32:
        scores = scores.astype("float64")
    if labels.shape != scores.shape or labels.ndim not in (1, 2):
        raise ValueError(
            "Labels and scores must have the same shape (n, K) or (n,). "
            f"Received: labels {labels.shape}, scores {scores.shape}"
        )
    if labels.ndim == 1:
        labels, scores = labels[:, None], scores[:, None]
    if not labels.size:
        raise ValueError(
            "There must be at least one label and score. Received: shape "
            f"{labels.shape}"
        )
    if weights is None:
        return labels, scores, None
    weights = np.asarray(weights, "float64")
    if weights.ndim == 1:
        weights = weights[:, None]
    if weights.shape not in ((len(labels), 1), labels.shape):
        raise ValueError(
            "Weights must have the shape of the labels, or (n,). Received: "
            f"labels {labels.shape}, weights {weights.shape}"
        )
    return labels, scores, np.broadcast_to(weights, labels.shape)


def _check(labels, positive, scores, weights, present, start):
    known = positive | (labels == 0)
    numbers = scores == scores  # Only NaN differs from itself.
    if present is not None:
        known |= ~present
        numbers |= ~present
    found = [(known, "a label that is not 0 or 1")]
    found.append((numbers, "a score that is NaN"))
    if weights is not None:
        found.append((weights >= 0.0, "a weight that is negative or NaN"))
    for right, message in found:
        if not right.all():
            task, row = np.argwhere(~right)[0]
            raise ValueError(
                f"Received {message}, in row {row} of task {start + task}. "
                "Give missing labels the weight 0, by "
                "keras_mtl.data.mask_missing for example."
            )
