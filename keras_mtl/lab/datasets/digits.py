"""Two handwritten digits in one picture: tasks that compete for the pixels."""

import numpy as np
from sklearn.datasets import load_digits

from keras_mtl.checks import integer
from keras_mtl.data.stratify import stratified_split

TEST_SHARE = 0.2
# Of the digits that are left.
VALIDATION_SHARE = 0.125


def overlaid_digits(num_samples=5_000, seed=0, overlap=4, validation=False):
    """Overlays real 8x8 digits in pairs, with three tasks per picture.

    The digits are the 1,797 that come with scikit-learn: no download. One is
    moved to the left and one to the right of a wider picture, and where they
    overlap the brighter pixel shows. The tasks: read the left digit, read the
    right digit, tell whether their sum is even. No digit is used in the
    pictures of two sets.

    Example:

    >>> (x_train, y_train), (x_test, y_test) = overlaid_digits(1_000)
    >>> x_train.shape, x_test.shape
    ((1000, 8, 12, 1), (200, 8, 12, 1))

    Args:
        num_samples: Integer, at least 5, training pictures; there are a fifth
            as many test pictures.
        seed: Integer. The same seed gives the same pictures.
        overlap: Integer from 0 to 8, columns that the two digits share: the
            more, the harder.
        validation: Boolean. Whether to put some of the training digits into a
            validation set, of as many pictures as the test set.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, with `(x_validation,
        y_validation)` between them if asked for: `x` is
        `(n, 8, 16 - overlap, 1)` float32 in [0, 1]; `y` is `{"left": (n,),
        "right": (n,), "even_sum": (n,)}`, int32, the digits 0 to 9 and 1 for
        an even sum.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Optical recognition of handwritten digits](
          https://archive.ics.uci.edu/dataset/80), UCI
        - [Sabour et al., 2017](https://arxiv.org/abs/1710.09829), whose
          MultiMNIST this follows
    """
    num_samples = integer("num_samples", num_samples, 5)
    if integer("overlap", overlap, 0) > 8:
        raise ValueError(
            "Argument `overlap` must be at most 8, the digits' width. "
            f"Received: overlap={overlap!r}"
        )
    rng = np.random.default_rng(integer("seed", seed, 0))
    digits = load_digits()
    # Grey levels are 0 to 16.
    images = digits.images.astype("float32") / 16.0
    train, test = stratified_split(digits.target, TEST_SHARE, rng)
    sets = [(train, num_samples), (test, num_samples // 5)]
    if validation:
        rest, held_out = stratified_split(
            digits.target[train], VALIDATION_SHARE, rng
        )
        sets[0] = (train[rest], num_samples)
        sets.insert(1, (train[held_out], num_samples // 5))
    return tuple(
        _overlay(images[rows], digits.target[rows], count, overlap, rng)
        for rows, count in sets
    )


def _overlay(images, targets, count, overlap, rng):
    """Returns `(x, y)` of `count` random pairs of images."""
    left, right = rng.integers(0, len(images), (2, count))
    width = images.shape[2]
    x = np.zeros((count, images.shape[1], 2 * width - overlap, 1), "float32")
    x[:, :, :width, 0] = images[left]
    x[:, :, -width:, 0] = np.maximum(x[:, :, -width:, 0], images[right])
    y = {"left": targets[left], "right": targets[right]}
    y["even_sum"] = (y["left"] + y["right"] + 1) % 2
    return x, {task: labels.astype("int32") for task, labels in y.items()}
