"""How far weights are from what their method asks for."""

import numpy as np


def residual(method, gradients, weights):
    """Returns median and worst residual over some Gramians, or `None`.

    By the weighter's name, at its default arguments; all are 0 for exact
    weights and do not change with the scale of the gradients:

    - the distance of the update from one computed in float64 by another way,
      relative to its length: non-negative least squares on the gradients, or
      eigenvalues;
    - the duality gap, relative to the mean squared norm;
    - how much what is to be equal differs: cosines, or each task's gain times
      its weight, relative to their mean.

    Args:
        method: String.
        gradients: `(n, K, P)` float64.
        weights: `(n, K)`.
    """
    of = RESIDUALS.get(method)
    if of is None:
        return None
    pairs = zip(gradients, np.float64(weights), strict=True)
    found = [of(rows, found) for rows, found in pairs]
    return float(np.median(found)), float(np.max(found))


def _distance(rows, weights, right):
    update = right @ rows
    return np.linalg.norm(weights @ rows - update) / np.linalg.norm(update)


def _projected(rows, point):
    """Weights of the nearest update that conflicts with no row."""
    from scipy.optimize import nnls

    # Each row of unit length: the problem's numbers are of one order.
    norms = np.linalg.norm(rows, axis=1)
    scale = np.linalg.norm(point)
    added, _ = nnls(
        (rows / norms[:, None]).T, -point / scale, maxiter=100 * len(rows)
    )
    return scale * added / norms


def _mean_projection(rows, weights):
    share = 1.0 / len(rows)
    right = share + share * sum(_projected(rows, row) for row in rows)
    return _distance(rows, weights, right)


def _projected_mean(rows, weights):
    share = 1.0 / len(rows)
    return _distance(rows, weights, share + _projected(rows, rows.mean(0)))


def _aligned(rows, weights):
    values, vectors = np.linalg.eigh(rows @ rows.T)
    along = np.sqrt(values[0] / values) * vectors.mean(0)
    return _distance(rows, weights, vectors @ along)


def _duality_gap(rows, weights):
    gramian = rows @ rows.T
    slopes = gramian @ weights
    return (weights @ slopes - slopes.min()) / np.trace(gramian) * len(rows)


def _worst_gain(rows, weights):
    # The dual's gap: the worst inner product at the edge of the ball.
    mean = rows.mean(0)
    added = weights - 1.0 / len(rows)
    total = added.sum()
    if total <= 0.0:
        return 1.0
    found = added @ rows
    length = 0.4 * np.linalg.norm(mean)
    slopes = rows @ (mean + length * found / np.linalg.norm(found))
    gap = added @ slopes / total - slopes.min()
    return gap / (rows**2).sum(1).mean()


def _cosines(rows, weights):
    cosines = rows @ (weights @ rows) / np.linalg.norm(rows, axis=1)
    return np.ptp(cosines / np.linalg.norm(weights @ rows))


def _shares(rows, weights):
    shares = weights * (rows @ (weights @ rows))
    return np.abs(shares / shares.mean() - 1.0).max()


RESIDUALS = {
    "upgrad": _mean_projection,
    "dual_proj": _projected_mean,
    "aligned_mtl": _aligned,
    "mgda": _duality_gap,
    "cagrad": _worst_gain,
    "imtl_g": _cosines,
    "config": _cosines,
    "nash_mtl": _shares,
    "fairgrad": _shares,
}
