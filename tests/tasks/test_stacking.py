"""Labels in dicts by task name, for stacked heads."""

import itertools

import numpy as np

from tests.tasks.stacked_twins import (
    NAMES,
    by_name,
    compiled,
    make_data,
    stacked_model,
)
from tests.tasks.test_stacked import assert_alike, assert_same_logs


def test_dicts_by_task_name_are_stacked():
    x, y, weight = make_data()
    kwargs = {"return_dict": True}
    stacked, named = (compiled(stacked_model(), "slaw") for _ in range(2))
    expected = stacked.train_on_batch(x, y, weight, **kwargs)
    shuffled = dict(reversed(by_name(y).items()))
    received = named.train_on_batch(x, shuffled, by_name(weight), **kwargs)
    assert_same_logs(received, expected)
    part = np.ones_like(weight)
    part[:, 1] = weight[:, 1]
    assert_same_logs(
        named.evaluate(
            x,
            {task: column[:, 0] for task, column in by_name(y).items()},
            sample_weight={"age": weight[:, 1]},
            verbose=0,
            **kwargs,
        ),
        named.evaluate(x, y, sample_weight=part, verbose=0, **kwargs),
    )
    # Batches made in Python, whose tasks change from one to the next.
    halves = [
        {task: by_name(y)[task] for task in tasks}
        for tasks in (NAMES[:2], NAMES[2:])
    ]
    for half in halves:
        named.train_on_batch(x, half)
    batches = ((x, halves[number % 2]) for number in itertools.count())
    stacked.fit(batches, steps_per_epoch=2, verbose=0)
    assert_alike(stacked, named)
