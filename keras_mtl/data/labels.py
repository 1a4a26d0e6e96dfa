"""Labels and sample weights, from what users pass to what a step takes."""

import warnings
from collections.abc import Mapping

import keras
import tensorflow as tf

from keras_mtl.data.class_weights import by_class, refuse_plain
from keras_mtl.data.completion import completed
from keras_mtl.data.label_checks import check_labels
from keras_mtl.data.sources import MappedBatches
from keras_mtl.data.structures import is_concrete
from keras_mtl.data.support_query import SupportQuery
from keras_mtl.data.symbolic import symbolic


def for_training(
    model, x, y, sample_weight, class_weight, shuffle=False
) -> tuple:
    """Returns inputs, labels and sample weights of `fit`, checked.

    One warning names the tasks that have no labels; a task whose labels are
    given as `None` is left out on purpose.

    Raises:
        ValueError: If they do not fit the tasks, with task and remedy.
    """
    refuse_plain(model, class_weight)
    given = y
    if y is None:
        x, given = completed(model, x)
        given = _labels_of(x) if given is None else given
    absent = _absent(model, given)
    meant = set(given) if isinstance(given, Mapping) else set()
    if y is None:
        if class_weight is not None:
            x = _weighed_batches(model, x, class_weight, shuffle)
    else:
        x, y, sample_weight = _checked(model, x, y, sample_weight, class_weight)
        absent += model.arrangement.without_rows(x)
        model.arrangement.check_labelled(sample_weight, absent)
        sample_weight = model.arrangement.complete(y, sample_weight)
    model.absent_tasks = frozenset(absent)
    told = [task for task in absent if task not in meant]
    if told:
        warnings.warn(
            f"The tasks {told} have no labels in this fit(): it trains only "
            "the heads of the other tasks, and the shared layers. Pass "
            "`None` as their labels if that is meant.",
            stacklevel=4,
        )
    return x, y, sample_weight


def for_evaluation(model, x, y, sample_weight) -> tuple:
    """Returns the same of `evaluate` or `validation_data`."""
    if y is None:
        return completed(model, x)[0], y, sample_weight
    x, y, weights = _checked(model, x, y, sample_weight)
    return x, y, model.arrangement.complete(y, weights)


def of_batch(model, batch, class_weight=None) -> tuple:
    """Returns `(x, y, sample_weight)` of a batch or of query data."""
    refuse_plain(model, class_weight)
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(tuple(batch))
    x = model.arrangement.own_rows(x)
    if y is None:
        return x, y, sample_weight
    return _checked(model, x, y, sample_weight, class_weight)


def _labels_of(x):
    """Returns the specification of a data set's labels, if it has one."""
    if not isinstance(x, tf.data.Dataset):
        return None
    spec = x.element_spec
    spec = spec.support if isinstance(spec, SupportQuery) else spec
    _, *rest = spec if isinstance(spec, tuple) else (spec,)
    if not rest or not isinstance(rest[0], Mapping):
        return rest[0] if rest else None
    return {t: of if _is_there(of) else None for t, of in rest[0].items()}


def _is_there(spec):
    # TensorFlow has a specification of None, too.
    return any(symbolic(s) is not None for s in keras.tree.flatten(spec))


def _absent(model, y):
    """Returns the tasks without labels.

    Raises:
        ValueError: If no task has any.
    """
    if not isinstance(y, Mapping):
        return []
    names = model.task_names
    absent = [task for task in names if y.get(task) is None]
    if len(absent) == len(names) and set(y) <= set(model.output_names):
        raise ValueError(
            "No task that has a loss has labels. Pass y={task: labels} for "
            f"some of {list(names)}. Received: labels for {list(y)}."
        )
    return absent


def _checked(model, x, y, sample_weight, class_weight=None):
    tasks = model.arrangement
    separate = model.is_separate(x)
    y, weights = tasks.arrange(y, sample_weight)
    _build(model, x, y, weights)
    tasks.check_nesting(model, y, weights)
    check_labels(model, x, y, weights)
    if class_weight is not None:
        weights = by_class(model, x, y, weights, class_weight)
    if separate:
        x = {task: part for task, part in x.items() if task in y}
    return x, y, weights


def _build(model, x, y, weights):
    """Builds a model for arrays, so that labels are checked against it."""
    arrays = [*keras.tree.flatten(x), *keras.tree.flatten(y)]
    if model.output_structure is not None or not all(map(is_concrete, arrays)):
        return
    batch = keras.tree.map_structure(_spec, (x, y, weights))
    model._maybe_symbolic_build(data_batch=batch)


def _spec(leaf):
    if leaf is None:
        return None
    known = symbolic(leaf)
    dtype = keras.config.floatx() if "float" in known.dtype else known.dtype
    return keras.KerasTensor((None, *known.shape[1:]), dtype)


def _weighed_batches(model, x, class_weight, shuffle):
    """Returns batches whose rows are weighed by their classes."""

    def weigh(*batch):
        x, y, weights = keras.utils.unpack_x_y_sample_weight(batch)
        y, weights = model.arrangement.arrange(y, weights)
        return x, y, by_class(model, x, y, weights, class_weight)

    def weighed(data):
        if isinstance(data.element_spec, SupportQuery):
            return data.map(lambda s, q: SupportQuery(weigh(*s), q))
        return data.map(weigh, tf.data.AUTOTUNE)

    if isinstance(x, tf.data.Dataset):
        return weighed(x)
    return MappedBatches(x, weighed, shuffle)
