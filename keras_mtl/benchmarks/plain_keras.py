"""The same layers without this package, to hold it against."""

import functools
from collections.abc import Mapping

import keras


def as_plain_keras(model, x) -> keras.Model:
    """Returns a functional Keras model with the layers of `model`, compiled.

    It has a head per task and fixed `loss_weights`: what one writes without
    this package.

    Args:
        model: Compiled `MultiTaskModel`.
        x: Inputs, for their shapes.
    """
    inputs = _inputs(x)
    if model.is_separate(inputs):
        parts = {task: model.encoder(inputs[task]) for task in inputs}
    else:
        parts = dict.fromkeys(model.task_names, model.encoder(inputs))
    outputs = {task: head(parts[task]) for task, head in model.heads.items()}
    config = keras.saving.deserialize_keras_object(model.get_compile_config())
    weights = config["loss_weights"]
    plain = keras.Model(inputs, outputs)
    plain.compile(
        optimizer=config["optimizer"],
        loss={task: model.task_losses.loss[task] for task in outputs},
        loss_weights={t: (weights or {}).get(t, 1.0) for t in outputs},
        metrics=config["metrics"],
        weighted_metrics=config["weighted_metrics"],
        steps_per_execution=model.steps_per_execution,
        jit_compile=model.jit_compile,
        run_eagerly=model.run_eagerly,
    )
    return plain


def _inputs(x, name=None):
    if isinstance(x, Mapping):
        return {key: _inputs(part, key) for key, part in x.items()}
    make = functools.partial(_input, name=name)
    return keras.tree.map_structure(make, x)


def _input(array, name):
    return keras.Input(array.shape[1:], dtype=array.dtype, name=name)
