"""Loading weights by name from a file with other tasks or weighter."""

import contextlib
import json
import pathlib
import warnings
import zipfile

import numpy as np

from keras_mtl import compat
from keras_mtl.training import optimizers
from keras_mtl.weighters.stored_state import (
    chain,
    current,
    merged,
    merged_by_task,
    owner_of,
)

SLOTS = "optimizer_slots"


def describe_slots(model, store):
    """Writes which variable each slot of the optimizer belongs to."""
    described = [type(model.optimizer).__name__, *names_of_slots(model)]
    # Files hold arrays only.
    store[SLOTS] = np.frombuffer(json.dumps(described).encode(), dtype="uint8")


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
        weighter = model.weighter
        states = [] if weighter is None else _states(store)
        fits = weighter is None or _fits(weighter, states)
        if fits and not new and not old:
            return False
        skipped = [heads[task] for task in new]
        told = [f"head {task!r}" for task in new]
        told += [f"head {task!r} of the file" for task in old]
        values = []
        if weighter is not None:
            if not fits:
                skipped.append(weighter)
                values += _of_weighters(weighter, states, heads, told)
            described = _values(store, "").get(SLOTS)
            slots = _values(store, "optimizer")
            as_many = len(slots) == len(model.optimizer.variables)
            # Version 0.1.0 did not describe them.
            if described is not None or new or old or not as_many:
                skipped.append(model.optimizer)
                values += _of_optimizer(model, described, slots, states, told)
            # Of other tasks, and reset in each epoch.
            skipped += [*model.metrics, model._loss_tracker]
            skipped.append(model._compile_metrics)
    compat.load_weights_only(model, filepath, objects_to_skip=skipped)
    for variable, value in values:
        variable.assign(value)
    warnings.warn(
        f"The file {str(filepath)!r} was saved with other tasks or another "
        f"weighter. Not loaded: {', '.join(told)}. All else was; what was not "
        "stays as it is.",
        stacklevel=3,
    )
    return True


def _fits(weighter, states):
    own, mine = chain(weighter), sorted(weighter.task_names)
    names, tasks = [], []
    for name, of in map(owner_of, states):
        names.append(name)
        tasks.append(mine if of is None else sorted(of))
    same = names == [type(each).__name__ for each in own]
    return same and all(of == mine for of in tasks)


def _values(store, path):
    """Returns what a file has at a path, by name."""
    # A store gives one object for all paths.
    entry = store.get(path)
    return {name: np.asarray(entry[name]) for name in list(entry.keys())}


def _states(store):
    """Returns the state of the file's weighter, and of those inside of it."""
    # Keras names it by its class, which need not be that of the model.
    layers = store.h5_file.get("layers", {})
    for name in layers:
        if f"{name}/vars/class_name" in layers:
            path, found = f"layers/{name}", []
            while f"{path}/vars/class_name" in store.h5_file:
                found.append(_values(store, path))
                path += "/weighter"
            return found
    return []


def _of_weighters(weighter, states, heads, told):
    """Returns variables and values of the weighters that have one class."""
    pairs, left = [], list(states)
    outermost = owner_of(states[0])[0] if states else "none"
    for own in chain(weighter):
        name = type(own).__name__
        alike = [state for state in left if owner_of(state)[0] == name]
        values = merged(own, alike[0]) if alike else None
        if values is None:
            told.append(f"the state of {name} (in the file: {outermost})")
            continue
        left.remove(alike[0])
        pairs += values
        saved = owner_of(alike[0])[1] or own.task_names
        if set(own.task_names) - set(saved):
            told.append(
                f"the state of {name} for tasks that the file does not know"
            )
        if set(saved) & set(heads) - set(own.task_names):
            told.append(f"the state of {name} for tasks without a loss here")
    return pairs


def _of_optimizer(model, described, slots, states, told):
    """Returns variables and values of the slots that have one name."""
    if described is None:
        told.append("the optimizer's state")
        return []
    kind, *known = json.loads(described.tobytes())
    if kind != type(model.optimizer).__name__:
        told.append(f"the optimizer's state (in the file: {kind})")
        return []
    values = {name: slots[str(number)] for number, name in enumerate(known)}
    own = list(model.weighter.task_names)
    theirs = (owner_of(states[0])[1] if states else None) or own
    pairs, afresh = [], []
    for name, slot in zip(
        names_of_slots(model), model.optimizer.variables, strict=True
    ):
        old, new = values.get(name), current(slot)
        if old is not None and name.startswith("weighter/"):
            same = old.ndim == new.ndim
            old = merged_by_task(old, new, theirs, own) if same else None
        if old is None or old.shape != new.shape:
            afresh.append(name.partition("/")[0])
        else:
            pairs.append((slot, old))
    if afresh:
        parts = sorted({part.removeprefix("head_") for part in afresh})
        told.append(f"the optimizer's state of {parts}")
    return pairs


def names_of_slots(model):
    """Returns the names of the optimizer's variables, by parts of the model."""
    parts = {**model._parts(), "discriminator": model.discriminator}
    names, known = [], set()
    for part, layer in {**parts, "weighter": model.weighter}.items():
        for number, variable in enumerate(layer.weights if layer else ()):
            if id(variable) not in known:
                known.add(id(variable))
                names.append((variable, f"{part}/{number}"))
    order = {id(v): n for n, v in enumerate(model.trainable_variables)}
    names = [pair for pair in names if id(pair[0]) in order]
    names.sort(key=lambda pair: order[id(pair[0])])
    return optimizers.slot_names(model.optimizer, names)


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
