"""Checks with a task that has no label in the batch."""

import numpy as np

from keras_mtl.testing.compiled import compiled
from keras_mtl.testing.signal_families import (
    signal_sequence,
    take_tasks,
    without_task,
)
from keras_mtl.testing.trial import (
    ConformanceError,
    expect_same,
    fresh,
    history,
    show,
)


def check_absent_task(make, num_tasks):
    """An absent task keeps its own state, and all numbers are finite."""
    weighter = compiled(make, num_tasks)
    *sequence, last = signal_sequence(weighter.weighter, num_tasks)
    task = num_tasks - 1
    rows = weighter.history([*sequence, without_task(last, task)])
    before, after = rows[-2:]
    for name, value in after.items():
        if not np.isfinite(value).all():
            raise ConformanceError(
                f"expected finite numbers with task {task} absent; received "
                f"{name} = {show(value)}. Leave absent tasks out of means and "
                "divisions."
            )
        own = name.startswith("state") and not name.endswith("(task_weights)")
        if not own or value.dtype.kind != "f":
            continue
        for axis in np.flatnonzero(np.equal(value.shape, num_tasks)):
            old, new = (v[name].take(task, axis) for v in (before, after))
            if not np.array_equal(old, new):
                raise ConformanceError(
                    f"expected {name} of the absent task {task} to stay "
                    f"{show(old)}; received {show(new)}. Take the signal "
                    "`present` and keep the state where it is 0."
                )


def check_all_tasks_absent(make, num_tasks):
    """A batch without any label gives finite weights and state."""
    weighter = compiled(make, num_tasks)
    first, *rest = signal_sequence(weighter.weighter, num_tasks)
    for task in range(num_tasks):
        first = without_task(first, task)
    for row in weighter.history([first, *rest, first]):
        for name, value in row.items():
            if not np.isfinite(value).all():
                raise ConformanceError(
                    "expected finite numbers when every task is absent; "
                    f"received {name} = {show(value)}. Guard divisions by the "
                    "number of tasks present."
                )


def check_absent_gradient(make, num_tasks):
    """The others' weights are those of the problem without an absent task."""
    weighter = compiled(make, num_tasks)
    if "gramian" not in weighter.weighter.needs or num_tasks == 1:
        return
    (signals,) = signal_sequence(weighter.weighter, num_tasks, ["random"])
    others = list(range(num_tasks - 1))
    (row,) = weighter.history([without_task(signals, num_tasks - 1)])
    smaller = fresh(make, num_tasks - 1)
    (expected,) = history(smaller, [take_tasks(signals, others)])
    expect_same(
        [{"call": row["call"][others]}],
        [{"call": expected["call"]}],
        f"Task {num_tasks - 1} was absent: take the signal `present`, and "
        "leave its zero gradient out of the problem.",
        1e-4,
    )
