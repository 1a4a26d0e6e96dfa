"""The same layers without this package, to hold it against."""

import functools
from collections.abc import Mapping

import keras
import numpy as np

from keras_mtl.layers import StackedHeads


def as_plain_keras(model, x) -> keras.Model:
    """Returns a functional Keras model with the layers of `model`, compiled.

    It has a head per task and fixed `loss_weights`: what one writes without
    this package. Stacked heads become a dense layer for each task.

    Args:
        model: Compiled `MultiTaskModel`.
        x: Inputs, for their shapes.
    """
    if model.is_separate(x):
        # A tuple has no names, which could be those of heads.
        inputs = tuple(_inputs(part) for part in x.values())
        parts = dict(zip(x, map(model.encoder, inputs), strict=True))
    else:
        inputs = _inputs(x)
        parts = _representations(model, inputs)
    outputs = {task: head(parts[task]) for task, head in _heads(model).items()}
    config = keras.saving.deserialize_keras_object(model.get_compile_config())
    of_each = functools.partial(_of_each, model)
    weights = model.task_losses.loss_weights.numpy().tolist()
    plain = keras.Model(inputs, outputs)
    plain.compile(
        optimizer=config["optimizer"],
        loss=of_each(model.task_losses.loss),
        loss_weights=dict(zip(model.task_names, weights, strict=True)),
        metrics=of_each(config["metrics"]),
        weighted_metrics=of_each(config["weighted_metrics"]),
        steps_per_execution=model.steps_per_execution,
        jit_compile=model.jit_compile,
        run_eagerly=model.run_eagerly,
    )
    return plain


def _representations(model, inputs):
    if not model.has_task_encoder:
        return dict.fromkeys(model.task_names, model.encoder(inputs))
    encoder = model.encoder
    if encoder.stacked:  # A new one gives each task its own.
        encoder = type(encoder).from_config(encoder.get_config())
    return encoder(inputs)


def as_plain_batch(model, batch):
    """Returns a batch for `as_plain_keras(model, ...)`.

    Args:
        model: `MultiTaskModel`.
        batch: Tuple of arrays: inputs, labels and maybe sample weights.
    """
    x, *rest = batch
    if model.is_separate(x):
        return (tuple(x.values()), *rest)
    if not isinstance(model.heads, StackedHeads):
        return batch
    by_name = [
        keras.tree.map_structure(np.asarray, model.arrangement.by_name(part))
        if np.ndim(part) > 1
        else dict.fromkeys(model.task_names, part)
        for part in rest
    ]
    return (x, *by_name)


def _heads(model):
    heads = model.heads
    if not isinstance(heads, StackedHeads):
        return heads
    return {
        task: keras.layers.Dense(heads.units, heads.activation, heads.use_bias)
        for task in model.task_names
    }


def _of_each(model, given):
    """Returns what a stacked model has for all tasks, for each of them."""
    if given is None or not isinstance(model.heads, StackedHeads):
        return given
    return dict.fromkeys(model.task_names, given)


def _inputs(x, name=None):
    if isinstance(x, Mapping):
        return {key: _inputs(part, key) for key, part in x.items()}
    make = functools.partial(_input, name=name)
    return keras.tree.map_structure(make, x)


def _input(array, name):
    return keras.Input(array.shape[1:], dtype=array.dtype, name=name)
