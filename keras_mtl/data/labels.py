"""Labels and sample weights, from what users pass to what a step takes."""

import keras


def for_training(model, y, sample_weight, class_weight) -> tuple:
    """Returns labels and sample weights of `fit`, checked.

    Raises:
        ValueError: If they do not fit the tasks, with task and remedy.
    """
    _refuse_class_weight(class_weight)
    tasks = model.arrangement
    y, sample_weight = tasks.arrange(y, sample_weight)
    tasks.check_numeric(y)
    sample_weight = tasks.complete(y, sample_weight)
    tasks.check_labelled(sample_weight)
    return y, sample_weight


def for_evaluation(model, y, sample_weight) -> tuple:
    """Returns labels and sample weights of `evaluate` or `validation_data`."""
    y, sample_weight = model.arrangement.arrange(y, sample_weight)
    return y, model.arrangement.complete(y, sample_weight)


def of_batch(model, batch, class_weight=None) -> tuple:
    """Returns `(x, y, sample_weight)` of a batch or of query data."""
    _refuse_class_weight(class_weight)
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(tuple(batch))
    x = model.arrangement.own_rows(x)
    y, sample_weight = model.arrangement.arrange(y, sample_weight)
    model.arrangement.check_numeric(y)
    return x, y, sample_weight


def _refuse_class_weight(class_weight):
    """Raises unless it is None: a class means nothing without its task."""
    if class_weight is not None:
        raise ValueError(
            "Argument `class_weight` must be None, since each task has classes "
            f"of its own. Received: class_weight={class_weight!r}. Weigh rows "
            "by sample_weight={task: ...}."
        )
