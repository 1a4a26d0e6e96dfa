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


def test_blocks_go_back_and_forth_after_one_to_warm_up():
    rows = [row(0.0), row(0.0)]
    order = []
    for index, each in enumerate(rows):
        each.runner.run = lambda steps, index=index: order.append(
            (index, steps)
        )
    times = timing.block_times(rows, [3, 1], 2, "wall", lambda message: None)
    assert times.shape == (2, 2)
    assert np.all(times > 0.0)
    forth, back = [(0, 3), (1, 1)], [(1, 1), (0, 3)]
    assert order == [*forth, *back, *forth]


def test_spread_holds_median_and_quartiles():
    assert tuple(timing.spread([1.0, 2.0, 3.0, 4.0, 5.0])) == (3.0, 2.0, 4.0)
