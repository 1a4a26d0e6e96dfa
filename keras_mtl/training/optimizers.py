"""Optimizers whose variables change when the weighter is replaced."""

from collections import Counter, defaultdict

import keras
import tensorflow as tf

from keras_mtl import compat
from keras_mtl.precision import inner_optimizer, parts_of
from keras_mtl.weighters.stored_state import reordered


def build(optimizer, variables, undecayed):
    """Returns an optimizer with state for `variables`.

    An optimizer that is not built is built in place. One that is built for
    other variables cannot be extended: a copy is made, which goes on with the
    state of the variables that they have in common.

    Args:
        optimizer: Keras optimizer.
        variables: List of trainable variables.
        undecayed: List of those that weight decay leaves alone.

    Returns:
        `optimizer`, or its copy.
    """
    old = None
    if optimizer.built:
        known = {id(v) for v in compat.optimized_variables(optimizer)}
        if known == {id(v) for v in variables}:
            return optimizer
        old, optimizer = optimizer, _copy(optimizer)
    optimizer.build(variables)
    parts = parts_of(optimizer)
    for part, like in zip(parts, parts_of(old or optimizer), strict=False):
        compat.leave_undecayed(part, variables, undecayed, like)
    if old is not None:
        _copy_state(old, optimizer)
    return optimizer


def learning_rate(optimizer, variables, asking) -> tf.Tensor:
    """Returns the learning rate at which `optimizer` moves `variables`.

    Args:
        optimizer: A built Keras optimizer.
        variables: Function that returns a list of variables; called only where
            several optimizers share the work.
        asking: String, who asks, for the error message.

    Raises:
        ValueError: If several optimizers move them.
    """
    (part, *others) = parts_of(optimizer)
    if others:
        movers = [mover(optimizer, variable) for variable in variables()]
        movers = {id(part): part for part in movers}
        if len(movers) > 1:
            names = [mover.name for mover in movers.values()]
            raise ValueError(
                f"{asking} needs the learning rate of the variables whose "
                "gradients it reads, and several optimizers with rates of "
                f"their own move them. Received: {names}. Give these variables "
                "one optimizer, or pass another scope to the weighter."
            )
        (part,) = movers.values()
    # A copy: a schedule moves on with the update.
    return tf.identity(tf.convert_to_tensor(part.learning_rate))


def mover(optimizer, variable):
    """Returns the optimizer that moves a variable: one of several, perhaps."""
    (part, *others) = parts_of(optimizer)
    if not others:
        return part
    return compat.optimizer_map(inner_optimizer(optimizer))(variable)


def follow_tasks(optimizer, weighter):
    """Reorders the state of variables by task, which Keras loads by position.

    Args:
        optimizer: A built Keras optimizer, just loaded.
        weighter: `Weighter`, just loaded.
    """
    positions, weighter.loaded_positions = weighter.loaded_positions, None
    if positions is None or positions == tuple(range(len(positions))):
        return
    for variable in weighter.trainable_variables:
        prefix = variable.path.replace("/", "_") + "_"
        for slot in optimizer.variables:
            if slot.name.startswith(prefix) and slot.shape == variable.shape:
                value = tf.convert_to_tensor(slot).numpy()
                slot.assign(reordered(value, positions))


def slot_names(optimizer, names) -> list[str]:
    """Returns what each variable of an optimizer belongs to, as a name.

    Args:
        optimizer: A built Keras optimizer.
        names: List of pairs, a variable and its name, none of which is the
            same as another.

    Returns:
        List of strings, no two alike: the variable's name and that of the
        slot; or the optimizer's own, such as `"iteration"`.
    """
    owners = defaultdict(list)
    for variable, name in names:
        owners[variable.path.replace("/", "_") + "_"].append(name)
    found, seen = [], Counter()
    for slot in optimizer.variables:
        number = seen[slot.name]
        seen[slot.name] += 1
        prefix = max(filter(slot.name.startswith, owners), key=len, default="")
        if prefix and number < len(owners[prefix]):
            # Slots of variables of one name keep the order of these.
            found.append(f"{owners[prefix][number]}/{slot.name[len(prefix) :]}")
        else:
            found.append(f"{slot.name}/{number}")
    return found


def _copy(optimizer):
    several = inner_optimizer(optimizer)
    chosen = compat.optimizer_map(several)
    if callable(chosen) and not hasattr(chosen, "get_config"):
        raise ValueError(
            "The model's trainable variables are no longer those that its "
            "MultiOptimizer was built for, and a function that chooses "
            "optimizers cannot be copied. Pass an OptimizerMap, or compile the "
            "model again."
        )
    config = keras.saving.serialize_keras_object(optimizer)
    config.pop("build_config", None)
    return keras.saving.deserialize_keras_object(config)


def _copy_state(old, new):
    # A slot's path holds its variable's; equal paths keep their order.
    values = defaultdict(list)
    for variable in old.variables:
        values[_slot(variable)].append(variable)
    for variable in new.variables:
        if values[_slot(variable)]:
            variable.assign(values[_slot(variable)].pop(0))


def _slot(variable):
    # Copies of an optimizer are numbered, as in "adam_1/iteration".
    return variable.path.partition("/")[2], tuple(variable.shape)
