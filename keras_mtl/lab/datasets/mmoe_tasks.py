"""The synthetic tasks of the MMoE paper: regressions more or less alike."""

import numpy as np

from keras_mtl.checks import above, integer, probability

TASKS = ("task_1", "task_2")
# Deviation of what is added to the labels: a variance of 0.01.
NOISE = 0.1


def generate(
    seed=0,
    correlation=0.5,
    num_samples=10_000,
    num_inputs=100,
    num_sines=5,
    scale=1.0,
    frequency=None,
):
    """Draws two regression tasks whose weight vectors have a given cosine.

    `y_i = w_iᵀ x + Σ_j sin(α_j w_iᵀ x + β_j) + ε`, with standard normal `x`
    and `ε` of variance 0.01. The weight vectors are `w_1 = c u_1` and
    `w_2 = c (p u_1 + sqrt(1 - p²) u_2)`, for random orthogonal unit vectors
    `u_1` and `u_2`: `w_iᵀ x` correlate by exactly `p`, and the labels, which
    are not linear in them, the more the larger `p`. The sines are the same for
    every seed, `α_j = j / 2` and `β_j = j`, unless `frequency` is given: the
    paper has them given, too, but does not say how.

    Example:

    >>> x, y = generate(correlation=0.9, num_samples=64)
    >>> x.shape, y["task_1"].shape
    ((64, 100), (64, 1))

    Args:
        seed: Integer. The same seed gives the same data; more samples, or
            another correlation, leave the inputs as they are.
        correlation: Float from 0 to 1, p.
        num_samples: Integer, n.
        num_inputs: Integer, at least 2, D.
        num_sines: Integer, at least 0, sines of each label.
        scale: Float above 0, c, the norm of both weight vectors.
        frequency: Float above 0, or `None`. With a number, each seed draws
            sines of its own, `α_j` normal with this deviation and `β_j`
            standard normal; some seeds' labels are then much harder to learn
            than others'.

    Returns:
        `(x, y)`: `(n, D)` float32 and `{"task_1": (n, 1) float32, "task_2":
        (n, 1) float32}`.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        - [Ma et al., 2018](https://dl.acm.org/doi/10.1145/3219819.3220007),
          section 3.2
    """
    seed = integer("seed", seed, 0)
    p = probability("correlation", correlation)
    num_samples = integer("num_samples", num_samples, 1)
    num_inputs = integer("num_inputs", num_inputs, 2)
    num_sines = integer("num_sines", num_sines, 0)
    scale = above("scale", scale, 0.0)
    # One stream for each draw, so that none shifts the others.
    shape_rng, x_rng, *noise_rngs = map(
        np.random.default_rng, np.random.SeedSequence(seed).spawn(4)
    )
    basis, _ = np.linalg.qr(shape_rng.normal(size=(num_inputs, 2)))
    phases = np.arange(1.0, num_sines + 1.0)[:, None]
    frequencies = phases / 2.0
    if frequency is not None:
        frequency = above("frequency", frequency, 0.0)
        frequencies, phases = shape_rng.normal(size=(2, num_sines, 1))
        frequencies = frequency * frequencies
    second = p * basis[:, 0] + np.sqrt(1.0 - p**2) * basis[:, 1]
    weights = scale * np.stack([basis[:, 0], second])
    x = x_rng.normal(size=(num_samples, num_inputs))
    y = {}
    for task, w, rng in zip(TASKS, weights, noise_rngs, strict=True):
        linear = x @ w
        sines = np.sin(frequencies * linear + phases).sum(axis=0)
        noise = rng.normal(0.0, NOISE, num_samples)
        labels = linear + sines + noise
        y[task] = labels.astype("float32")[:, None]
    return x.astype("float32"), y
