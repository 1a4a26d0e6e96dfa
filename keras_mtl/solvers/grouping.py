"""The best grouping of numbers on a line."""

import tensorflow as tf


def group_means(values, counted, num_groups):
    """Returns for each value the mean of its group.

    The groups are those with the least sum of squared distances to their
    means: k-means, which on a line is solved exactly. Its groups are intervals
    of the sorted values, and dynamic programming over their ends finds them.

    Args:
        values: `(K,)` float64.
        counted: `(K,)` booleans. The others belong to no group.
        num_groups: Integer, at least 1.

    Returns:
        `(K,)` float64; arbitrary where a value is not counted.
    """
    size = values.shape[0]
    if num_groups >= size:
        return values
    # Those that do not count stand last and weigh nothing.
    largest = tf.reduce_max(
        tf.where(counted, values, values.dtype.min * tf.ones_like(values))
    )
    values = tf.where(counted, values, largest)
    order = tf.argsort(values, stable=True)
    line = tf.gather(values, order)
    mass = tf.gather(tf.cast(counted, values.dtype), order)
    # Row i, column j: the interval from i to j. Distances from its own first
    # value: their squares do not cancel, whatever lies further off.
    upper = tf.linalg.band_part(tf.ones((size, size), values.dtype), 0, -1)
    far = upper * (line - line[:, None])
    weight = tf.cumsum(upper * mass, axis=1)
    total = tf.cumsum(far * mass, axis=1)
    mean = tf.math.divide_no_nan(total, weight)
    cost = tf.cumsum(mass * far**2, axis=1) - mean * total
    cost = tf.where(upper > 0.0, tf.maximum(cost, 0.0), float("inf"))

    # best[j]: the least cost of the values up to j in so many groups.
    best, begins = cost[0], []
    for _ in range(num_groups - 1):
        before = tf.concat([tf.zeros(1, values.dtype), best[:-1]], axis=0)
        ways = before[:, None] + cost
        begins.append(tf.argmin(ways, axis=0, output_type=tf.int32))
        best = tf.reduce_min(ways, axis=0)
    places = tf.range(size)
    last = tf.constant(size - 1)
    result = line
    for begin in (*reversed(begins), tf.zeros_like(places)):
        first = tf.gather(begin, tf.maximum(last, 0))
        inside = (places >= first) & (places <= last)
        middle = tf.gather(line, first) + tf.gather_nd(
            mean, [first, tf.maximum(last, 0)]
        )
        result = tf.where(inside, middle, result)
        last = first - 1
    return tf.gather(result, tf.argsort(order))
