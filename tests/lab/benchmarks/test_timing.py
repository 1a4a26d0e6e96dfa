import time

import numpy as np

from keras_mtl.lab.benchmarks import timing


class Sleeper:
    def __init__(self, seconds):
        self.seconds, self.calls = seconds, []

    def run(self, steps):
        self.calls.append(steps)
        time.sleep(steps * self.seconds)


def row(seconds):
    return timing.first_step("sleeper", lambda: Sleeper(seconds))


def test_a_slow_row_takes_fewer_steps_and_at_least_one():
    rows = [row(1e-3), row(1e-3), row(0.1)]
    first, like, slow = timing.steps_per_block(rows, 0.02, "wall")
    assert first == like
    assert first > 2
    assert slow == 1


def test_blocks_come_in_an_order_that_favours_no_row():
    """All rows in each repetition, each as often after one as after another."""
    rows, order = [row(0.0), row(0.0), row(0.0)], []
    for index, each in enumerate(rows):
        each.runner.run = lambda steps, index=index: order.append(
            (index, steps)
        )
    steps = [3, 1, 2]
    times = timing.block_times(rows, steps, 299, "wall", lambda message: None)
    assert times.shape == (299, 3)
    assert np.all(times > 0.0)
    blocks = np.reshape(order, (300, 3, 2))  # The first only warms up.
    assert (np.sort(blocks[..., 0]) == [0, 1, 2]).all()
    assert (blocks[..., 1] == np.array(steps)[blocks[..., 0]]).all()
    after = np.zeros((3, 3))
    rank = blocks[..., 0].ravel()
    np.add.at(after, (rank[:-1], rank[1:]), 1)
    # Itself only across repetitions, one in nine; another one, four in nine.
    expected = 100 * (np.eye(3) + 4 * (1 - np.eye(3))) / 3
    assert np.abs(after - expected).max() < 4 * expected.max() ** 0.5


def test_spread_holds_median_and_quartiles():
    assert tuple(timing.spread([1.0, 2.0, 3.0, 4.0, 5.0])) == (3.0, 2.0, 4.0)
