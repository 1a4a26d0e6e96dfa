"""The weighter that a model trains with, which may be replaced later."""

import weakref
from contextlib import contextmanager

import tensorflow as tf

from keras_mtl import compat, distribution
from keras_mtl.gradients.sizes import bind_to_scope
from keras_mtl.training import optimizers
from keras_mtl.training.optimizer_steps import check_form, differentiates_step


def attach(model, weighter):
    """Makes `weighter` the one that `model` trains with, also once built.

    Raises:
        ValueError: If it serves another model already.
    """
    owner = weighter.owner
    if owner is not None and owner() is not model:
        raise ValueError(
            f"This {type(weighter).__name__} already serves another model, "
            "and has its statistics. Make one for each model: "
            f"{type(weighter).__name__}.from_config(weighter.get_config())."
        )
    if hasattr(weighter, "set_kinds"):
        weighter.set_kinds(model.task_losses.kinds)
    if weighter is model.weighter:
        return
    with model.distribute_strategy.scope():
        weighter.bind(len(model.task_names), model.task_names)
    weighter.owner = weakref.ref(model)
    # Keras locks the tracker of a built layer, and `compile` turns tracking
    # off.
    tracker = compat.tracker_of(model)
    tracker.unlock()
    if model.weighter is not None:
        tracker.untrack(model.weighter)
    tracker.add_to_store("layers", weighter)
    model.weighter = weighter
    if model.built:
        tracker.lock()
        with model.distribute_strategy.scope():
            bind_to_scope(model)
            if model.optimizer.built:
                build_optimizer(model)
    model.train_function = None


@contextmanager
def replaced(model, weighter):
    """Trains with another weighter, or with the last one if it is refused.

    Args:
        model: A compiled `MultiTaskModel`.
        weighter: `Weighter`, perhaps the one in use.
    """
    last, optimizer = model.weighter, model.optimizer
    steps = _steps_of(optimizer)
    try:
        attach(model, weighter)
        yield
    except BaseException:
        took_none = _steps_of(model.optimizer) == steps
        if model.weighter is not last and took_none:
            attach(model, last)
            model.optimizer = optimizer
        raise


def _steps_of(optimizer):
    # Keras cannot convert a variable that is spread over replicas.
    return int(tf.convert_to_tensor(optimizer.iterations))


def build_optimizer(model):
    """Gives the optimizer state for all trainable variables.

    Those of the weighter are among them, whose shapes may be the scope's.
    """
    bind_to_scope(model)
    distribution.check_optimizer(model.optimizer)
    if differentiates_step(model.weighter):
        check_form(model.optimizer, type(model.weighter).__name__)
    optimizer = optimizers.build(
        model.optimizer,
        model.trainable_variables,
        undecayed=model.weighter.trainable_variables,
    )
    if optimizer is not model.optimizer:
        model.optimizer, model.train_function = optimizer, None
