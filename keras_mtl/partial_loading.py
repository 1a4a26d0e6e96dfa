"""Weights of a file with other tasks, or another weighter, by their names."""

import contextlib
import pathlib
import warnings
import zipfile

from keras_mtl import compat
from keras_mtl.weighters.stored_state import merged, owner_of


def load(model, filepath) -> bool:
    """Loads what has the same name, where the file holds another model's.

    Args:
        model: A built `MultiTaskModel`.
        filepath: Path of a `.keras` or `.weights.h5` file.

    Returns:
        Whether it did: not where the file fits, or is of another kind.
    """
    with _opened(filepath) as store:
        if store is None:
            return False
        heads = model.arrangement.head_layers
        saved = {n[5:] for n in store.h5_file if n.startswith("head_")}
        kept = [model.encoder, *(heads[task] for task in saved & set(heads))]
        # A part that stands in the model twice is saved once.
        ids = {
            id(part) for layer in kept for part in compat.layers_within(layer)
        }
        new = [t for t, h in heads.items() if id(h) not in ids and h.weights]
        old = sorted(saved - set(heads))
        state, values = _weighter_state(store), None
        same_owner = same_tasks = True
        weighter = model.weighter
        if weighter is not None:
            name, tasks = owner_of(state)
            same_owner = name == type(weighter).__name__
            own = sorted(weighter.task_names)
            same_tasks = tasks is None or sorted(tasks) == own
            if same_owner and not same_tasks:
                values = merged(weighter, state)
        if same_owner and same_tasks and not new and not old:
            return False
        skipped = [heads[task] for task in new]
        told = [f"head {task!r}" for task in new]
        told += [f"head {task!r} of the file" for task in old]
        if weighter is not None and not (same_owner and same_tasks):
            skipped.append(weighter)
            told += _what_starts_afresh(weighter, name, values)
        if weighter is not None:
            saved_slots = len(store.get("optimizer").keys())
            as_many = saved_slots == len(model.optimizer.variables)
            if new or old or not (same_tasks and as_many):
                skipped.append(model.optimizer)
                told.append("the optimizer's state")
            # Of other tasks, and reset in each epoch.
            skipped += [*model.metrics, model._loss_tracker]
            skipped.append(model._compile_metrics)
    compat.load_weights_only(model, filepath, objects_to_skip=skipped)
    for variable, value in values or ():
        variable.assign(value)
    warnings.warn(
        f"The file {str(filepath)!r} was saved with other tasks or another "
        f"weighter. Not loaded: {', '.join(told)}. All else was; what was not "
        "stays as it is.",
        stacklevel=3,
    )
    return True


def _weighter_state(store):
    # Keras names it by its class, which need not be that of the model.
    layers = store.h5_file.get("layers", {})
    for name in layers:
        if f"{name}/vars/class_name" in layers:
            return store.get(f"layers/{name}")
    return {}


def _what_starts_afresh(weighter, saved_name, values):
    own = type(weighter).__name__
    if values is None:
        return [f"the state of {own} (in the file: {saved_name or 'none'})"]
    return [f"the state of {own} for tasks that the file does not know"]


@contextlib.contextmanager
def _opened(filepath):
    name = str(filepath)
    if not pathlib.Path(name).is_file():
        yield None
    elif name.endswith(".weights.h5"):
        store = compat.weights_store(name)
        with contextlib.closing(store):
            yield store
    elif name.endswith(".keras"):
        with zipfile.ZipFile(name) as archive:
            store = compat.weights_store(None, archive)
            with contextlib.closing(store):
                yield store
    else:
        yield None
