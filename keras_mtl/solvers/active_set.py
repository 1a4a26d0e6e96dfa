"""Non-negative quadratic programs, solved by an active-set method."""

from typing import Any

import tensorflow as tf

# A pivot below this is the rounding of a float32 matrix, not information.
SMALLEST_PIVOT = 1e-7
# And below this a coordinate nearly follows from others: not to start with.
SMALLEST_START = 1e-3
# Up to this K, a pivot costs less than choosing the best one.
LARGEST_START = 16


def nonnegative_minimum(
    matrix: Any,
    vector: Any,
    allowed: Any,
    threshold: float,
    max_steps: int,
    in_turn: bool = True,
):
    """Minimises `x @ matrix @ x / 2 - vector @ x` over `x >= 0`.

    Each step lets the coordinate of steepest descent become positive, or one
    that would turn negative return to 0, and solves exactly for the positive
    ones: a pivot on the tableau `[matrix, vector]`, `O(K^2)`. Every `x` on
    the way is feasible, and none is worse than the one before.

    Example:

    >>> vector = tf.constant([1.0, -1.0], tf.float64)
    >>> allowed = tf.constant([True, True])
    >>> matrix = tf.eye(2, dtype=tf.float64)
    >>> x, steps = nonnegative_minimum(matrix, vector, allowed, 1e-10, 40)
    >>> x  # -> [1.0, 0.0]

    Args:
        matrix: `(K, K)` float64, positive semi-definite up to rounding, its
            diagonal of order 1; K static.
        vector: `(K,)` float64.
        allowed: `(K,)` bool. Other coordinates stay 0.
        threshold: Float. Steepest descent at which to stop.
        max_steps: Integer or scalar int32. With 0, `x` is 0.
        in_turn: Boolean. For small K, whether the first K steps take the
            coordinates in turn, steepest or not. That is faster, and takes
            longer to compile.

    Returns:
        `(x, steps)`: `(K,)` float64 and scalar int32.

    Reference:
        - [Wolfe, 1976](https://doi.org/10.1007/BF01580381)
        - [Goodnight, 1979](https://doi.org/10.1080/00031305.1979.10482685)
    """
    index = tf.range(vector.shape[0])
    never = tf.constant(float("-inf"), tf.float64)
    nothing = tf.zeros_like(vector)

    def sweep_of(tableau, pivot):
        hit = tf.range(vector.shape[0] + 1) == pivot
        # Not tableau[pivot]: XLA would compile anew for every `allowed`.
        row = tf.gather(tableau, pivot)
        column = tf.gather(tableau, pivot, axis=1)
        diagonal = tf.maximum(tf.gather(row, pivot), SMALLEST_PIVOT)
        row = tf.where(hit, diagonal + 1.0, row) / diagonal
        return tf.where(hit[:-1], diagonal - 1.0, column), row

    def take_in_turn(steps, tableau, column, row, active):
        tableau -= column[:, None] * row
        pivot = steps + 1
        column, row = sweep_of(tableau, pivot)
        own = tf.gather(tableau, pivot)
        enters = (own[-1] > 0.0) & (tf.gather(own, pivot) > SMALLEST_START)
        enters &= tf.gather(allowed, pivot)
        active |= (index == pivot) & enters
        return pivot, tableau, tf.where(enters, column, nothing), row, active

    def exchange(steps, tableau, column, row, pivot, active, x, _):
        # Sweeping twice undoes itself: coordinates enter and leave alike.
        # The sweep is prepared a step ahead, so that XLA updates in place.
        tableau -= column[:, None] * row
        active ^= index == pivot
        right = tableau[:, -1]
        target = tf.where(active, right, 0.0)
        blocked = tf.reduce_min(target) < 0.0
        leave = tf.where(target < 0.0, x / (target - x), never)
        enter = tf.where(allowed & ~active, right, never)
        score = tf.where(blocked, leave, enter)
        pivot = tf.argmax(score, output_type=tf.int32)
        best = tf.gather(score, pivot)
        length = tf.where(blocked, -best, 1.0)
        x = tf.maximum(x + length * (target - x), 0.0)
        x = tf.where(blocked & (index == pivot), tf.zeros_like(x), x)
        sweep = sweep_of(tableau, pivot)
        more = blocked | (best > threshold)
        return steps + 1, tableau, *sweep, pivot, active, x, more

    tableau = tf.concat([matrix, vector[:, None]], 1)
    state = (-1, tableau, nothing, tf.zeros_like(tableau[0]), nothing > 0)
    if in_turn and vector.shape[0] <= LARGEST_START:
        last = tf.minimum(max_steps, vector.shape[0]) - 1
        state = tf.while_loop(
            lambda steps, *_: steps < last, take_in_turn, state
        )
    *state, active = state
    # The first pass ends the last of these steps, and finds the next pivot.
    state = (*state, -1, active, tf.cast(active, tf.float64), True)
    steps, *_, x, _ = tf.while_loop(
        lambda steps, *state: (steps < max_steps) & state[-1], exchange, state
    )
    return x, tf.maximum(steps, 0)
