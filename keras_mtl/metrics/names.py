"""Names of metrics in History."""

import re

from keras_mtl import compat


def own_name(metric):
    """Returns a metric's name without the number that Keras appends."""
    name = compat.to_snake_case(type(metric).__name__)
    return name if re.fullmatch(rf"{name}_\d+", metric.name) else metric.name


def check_names(names, task_names):
    """Raises if a metric would overwrite a loss or a weight in History."""
    kinds = [(task, kind) for task in task_names for kind in ("loss", "weight")]
    taken = {f"{task}_{kind}": (task, kind) for task, kind in kinds}
    for name in names:
        if name in taken:
            task, kind = taken[name]
            raise ValueError(
                f"A metric would be called {name!r}, as the {kind} of task "
                f"{task!r} in History is. Give the metric another name, for "
                "example keras.metrics.MeanMetricWrapper(function, "
                f"name='my_{kind}')."
            )
