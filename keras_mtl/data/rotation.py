"""Query rows that change from epoch to epoch, so that all rows train."""

import zlib
from typing import NamedTuple

import numpy as np

from keras_mtl.checks import fraction
from keras_mtl.data.arrays import as_arrays
from keras_mtl.data.support_query import row_classes


class Fold(NamedTuple):
    """The row numbers of an epoch.

    Attributes:
        support: `(m,)` int64, those that train.
        query: `(n - m,)` int64, those held out.
    """

    support: np.ndarray
    query: np.ndarray


class Rotation:
    """Folds of rows, one of which is held out in each epoch.

    Fold `e % num_folds` is held out in epoch `e`, counted from 0.

    Example:

    >>> rotation = Rotation.of_classes([0, 0, 1, 1], num_folds=2, seed=0)
    >>> rotation.epoch(0).query  # one row of each class

    Args:
        numbers: `(n,)` integers from 0 to `num_folds - 1`, each row's fold.
        num_folds: Integer.

    """

    def __init__(self, numbers, num_folds):
        self.numbers, self.num_folds = np.asarray(numbers), num_folds

    @classmethod
    def of_classes(cls, classes, num_folds, seed):
        """Makes folds in which every class keeps its share.

        Args:
            classes: `(n,)` array, the class of each row.
            num_folds: Integer.
            seed: Integer, or list of integers.

        Returns:
            A `Rotation`. Sizes of folds differ by one row at most, and so do
            the numbers of rows of each class.
        """
        classes = np.asarray(classes)
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(classes))
        order = order[np.argsort(classes[order], kind="stable")]
        numbers = np.empty(len(classes), "int64")
        # Dealt out as cards, class after class.
        names = rng.permutation(num_folds)
        numbers[order] = names[np.arange(len(classes)) % num_folds]
        return cls(numbers, num_folds)

    def epoch(self, number) -> Fold:
        """Returns the `Fold` of an epoch, counted from 0."""
        held_out = self.numbers == number % self.num_folds
        return Fold(np.flatnonzero(~held_out), np.flatnonzero(held_out))

    @property
    def most_support(self) -> int:
        """The most rows that train in an epoch."""
        sizes = np.bincount(self.numbers, minlength=self.num_folds)
        return int(len(self.numbers) - sizes.min())

    def rows(self, number, count, query_count, seed) -> Fold:
        """Returns shuffled rows of an epoch, repeated where they end.

        Args:
            number: Integer, the epoch.
            count: Integer, how many support rows.
            query_count: Integer, how many query rows.
            seed: List of integers, or None for rows in order.
        """
        return Fold(
            *(
                rows[
                    _passes(
                        len(rows),
                        wanted,
                        None if seed is None else [*seed, number, side],
                    )
                ]
                for side, (rows, wanted) in enumerate(
                    zip(self.epoch(number), (count, query_count), strict=True)
                )
            )
        )


def num_folds(query_split) -> int:
    """Returns how many folds of this share make the whole.

    Raises:
        ValueError: If no whole number does.
    """
    share = fraction("query_split", query_split)
    number = round(1.0 / share)
    if number < 2 or abs(number * share - 1.0) > 1e-6:
        raise ValueError(
            "With query rotation, `query_split` must be one part of a whole "
            "number of equal ones, such as 0.1, 0.2, 0.25 or 0.5. Received: "
            f"query_split={share:g}"
        )
    return number


def rotations(y, sample_weight, query_split, seed, separate) -> dict:
    """Returns the `Rotation` of each task's rows.

    Args:
        y: `{task: labels}`, arrays.
        sample_weight: `{task: weights}`, or None.
        query_split: Float, one over the number of folds.
        seed: Integer.
        separate: Boolean, whether tasks have rows of their own. If not, all
            have one `Rotation`, on the combinations of their classes.

    Raises:
        ValueError: If a task has fewer labelled rows than there are folds.
    """
    folds = num_folds(query_split)
    weights = sample_weight or {}
    classes = {
        task: row_classes(as_arrays(labels), weights.get(task))
        for task, labels in y.items()
    }
    for task, codes in classes.items():
        labelled = int((codes >= 0).sum())
        if labelled < folds:
            raise ValueError(
                f"Task {task!r} has too few labelled rows for a query set in "
                f"each epoch. Received: {labelled} of them, and query_split="
                f"{query_split:g} in rotation, which takes at least {folds}. "
                "Pass a larger query_split."
            )
    if separate:
        return {
            task: Rotation.of_classes(
                codes, folds, [seed, zlib.crc32(str(task).encode())]
            )
            for task, codes in classes.items()
        }
    table = np.stack([*classes.values()], axis=1)
    codes = np.unique(table, axis=0, return_inverse=True)[1].reshape(-1)
    return dict.fromkeys(y, Rotation.of_classes(codes, folds, [seed]))


def _passes(num_rows, count, seed):
    """Returns `count` positions: whole passes, the last cut short."""
    if seed is None:
        return np.arange(count) % num_rows
    rng = np.random.default_rng(seed)
    passes = -(-count // num_rows)
    orders = [rng.permutation(num_rows) for _ in range(passes)]
    return np.concatenate([np.empty(0, "int64"), *orders])[:count]
