"""Frank-Wolfe steps over the simplex, with exact line search."""

import tensorflow as tf


def duality_gap(gramian, mask, weights):
    """Returns how far at most `weights` are from optimal, a float64 scalar."""
    slopes = tf.linalg.matvec(gramian, weights)
    lowest = tf.reduce_min(tf.where(mask, slopes, float("inf")))
    return tf.maximum(tf.reduce_sum(weights * slopes) - lowest, 0.0)


def line_searches(gramian, mask, weights, max_steps, tolerance, pairwise):
    """Minimises `weights @ gramian @ weights` by Frank-Wolfe steps.

    Args:
        gramian: `(K, K)` float64; K static.
        mask: `(K,)` bool. Other coordinates must start at 0, and stay there.
        weights: `(K,)` float64, the start, on the simplex.
        max_steps: Integer. Each step is `O(K)`.
        tolerance: Float. Duality gap at which to stop.
        pairwise: Boolean. Take weight from the worst coordinate, rather than
            from all in proportion.

    Returns:
        `(weights, steps)`: `(K,)` float64 and scalar int32.

    Reference:
        - [Jaggi, 2013](https://proceedings.mlr.press/v28/jaggi13.html)
        - [Lacoste-Julien and Jaggi, 2015](https://arxiv.org/abs/1511.05932)
    """
    size, infinity = gramian.shape[0], tf.constant(float("inf"), tf.float64)

    def search(step, weights, slopes, _):
        best = tf.argmin(tf.where(mask, slopes, infinity))
        away, away_slopes, limit = weights, slopes, 1.0
        if pairwise:
            worst = tf.argmax(tf.where(weights > 0.0, slopes, -infinity))
            away = tf.one_hot(worst, size, dtype=tf.float64)
            away_slopes = tf.gather(gramian, worst)
            limit = tf.gather(weights, worst)
        move = tf.one_hot(best, size, dtype=tf.float64) - away
        # Not gramian[best]: XLA would compile anew for every Gramian.
        change = tf.gather(gramian, best) - away_slopes
        descent = -tf.reduce_sum(move * slopes)
        curvature = tf.reduce_sum(move * change)
        inside = descent < limit * curvature
        length = tf.where(inside, descent / curvature, limit)
        weights = tf.maximum(weights + length * move, 0.0)
        slopes += length * change
        lowest = tf.reduce_min(tf.where(mask, slopes, infinity))
        gap = tf.reduce_sum(weights * slopes) - lowest
        return step + 1, weights, slopes, gap

    slopes = tf.linalg.matvec(gramian, weights)
    step, weights, *_ = tf.while_loop(
        lambda step, *state: (step < max_steps) & (state[-1] > tolerance),
        search,
        (tf.constant(0), weights, slopes, duality_gap(gramian, mask, weights)),
    )
    return weights, step
