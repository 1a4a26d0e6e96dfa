"""Trainings that several replicas and one device must do alike."""

import contextlib
import os
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_mtl import weighters
from keras_mtl.architectures import TaskDiscriminator
from tests.training import (
    TASKS,
    make_data,
    new_model,
    query_for,
    seeded,
    separate,
    state,
)

BATCH = 8


class Trial(NamedTuple):
    """A training of 20 steps, unless said otherwise.

    Args:
        weighter: String.
        separate: Boolean, whether each task has inputs of its own.
        rows: Integer; 29 end an epoch with 5 rows and 25 with one.
        epochs: Integer.
        missing: Boolean, whether labels are missing unevenly.
        clip: Dict, clipping arguments of the optimizer.
        query_batch: Integer, rows of a query batch.
        discriminator: Boolean.
        steps_per_execution: Integer.
        metrics: Boolean, whether to have metrics and validation data.
        shuffle: Boolean, whether each process draws an order of its own.
        learning_rate: Float.
        policy: String, the data type policy.
    """

    weighter: str
    separate: bool = False
    rows: int = 29
    epochs: int = 5
    missing: bool = True
    clip: dict = {}
    query_batch: int = BATCH
    discriminator: bool = False
    steps_per_execution: int = 1
    metrics: bool = False
    shuffle: bool = False
    learning_rate: float = 0.05
    policy: str = "float32"

    def __str__(self):
        differs = [
            f"{field}={value}"
            for field, value in self._asdict().items()
            if value != self._field_defaults.get(field)
        ]
        return ",".join(differs)


METRICS = {
    "metrics": {"class": ["accuracy"]},
    "weighted_metrics": {"stars": ["mae"]},
}


def compiled(trial, strategy=None):
    """Returns a model, in the scope of a strategy."""
    name, model = seeded(trial.weighter), {"regulariser": "l2"}
    if trial.discriminator:
        model["discriminator"] = TaskDiscriminator((4,), weight=0.5)
    keras.config.set_dtype_policy(trial.policy)
    with strategy.scope() if strategy else contextlib.nullcontext():
        optimizer = keras.optimizers.SGD(
            trial.learning_rate, momentum=0.9, **trial.clip
        )
        if trial.policy == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(
                optimizer, initial_scale=64.0
            )
        return new_model(
            name,
            optimizer,
            model=model,
            steps_per_execution=trial.steps_per_execution,
            **(METRICS if trial.metrics else {}),
        )


def arguments(trial):
    """Returns the arguments of `fit`."""
    x, y = make_data(trial.rows)
    fit = {"x": x, "y": y, "shuffle": trial.shuffle, "verbose": 0}
    query = query_for(trial.weighter, rows=11)
    if trial.separate:
        fit["x"], _ = separate((x, y))
        query = query and separate(query)
    if trial.missing:
        place = np.arange(trial.rows)
        weight = {task: np.ones(trial.rows, "float32") for task in TASKS}
        weight["stars"][place % BATCH >= 4] = 0.0  # None on a second replica.
        weight["tone"][::3] = 0.5
        weight["class"][place // BATCH == 1] = 0.0  # None in a whole batch.
        fit["sample_weight"] = weight
    if query:  # In order: workers shuffle by a seed that the first one draws.
        rows = tf.data.Dataset.from_tensor_slices(query)
        fit["query_data"] = rows.batch(trial.query_batch)
    if trial.metrics:
        fit["validation_data"] = keras.tree.map_structure(
            lambda values: values[:11],
            (fit["x"], y, fit.get("sample_weight", {})),
        )
    return {**fit, "batch_size": BATCH, "epochs": trial.epochs}


def run(trial, strategy=None, **fit):
    """Returns the state and the history of a finished trial, as arrays."""
    model = compiled(trial, strategy)
    if trial.shuffle:
        keras.utils.set_random_seed(os.getpid())
    history = model.fit(**arguments(trial), **fit).history
    return results(model, history)


def results(model, history):
    """Returns state and history as a dict of arrays."""
    values = state(model)
    for k, variable in enumerate(model.weighter.variables):
        if variable.name == "iterations":
            # Rounding may cost a solver a step, and changes nothing else.
            del values[f"weighter/{k}"]
    return {
        **{f"state/{name}": value for name, value in values.items()},
        **{f"history/{name}": np.array(v) for name, v in history.items()},
    }


def greatest_difference(received, expected):
    """Returns the greatest difference of two results, and where it is.

    Absolute, or relative where values are above 1.
    """
    assert received.keys() == expected.keys()
    worst, place = 0.0, None
    for name, value in expected.items():
        mine, value = (
            np.asarray(v, "float64") for v in (received[name], value)
        )
        assert np.array_equal(np.isnan(mine), np.isnan(value)), name
        size = np.maximum(np.abs(np.nan_to_num(value)), 1.0)
        difference = np.max(
            np.nan_to_num(np.abs(mine - value)) / size, initial=0
        )
        if difference > worst:
            worst, place = float(difference), name
    return worst, place


MATRIX = [
    Trial(weighter, separate=separate, rows=rows, metrics=rows == 25)
    for weighter in weighters.CATALOGUE
    for separate, rows in ((False, 29), (True, 25))
]
OTHERS = [
    Trial("slaw", clip={"global_clipnorm": 0.1}),
    Trial("uncertainty", separate=True, clip={"global_clipnorm": 0.1}),
    Trial("meta_weighting", query_batch=3),
    Trial("meta_weighting", separate=True, query_batch=11, rows=25),
    Trial("gradnorm", separate=True, discriminator=True),
    Trial("constant", separate=True, discriminator=True, rows=25),
    Trial("mgda", steps_per_execution=3),
    Trial("meta_weighting", steps_per_execution=3, rows=25),
]
MIXED = [
    Trial(weighter, policy=policy, learning_rate=0.01)
    for weighter in weighters.CATALOGUE
    for policy in ("mixed_float16", "mixed_bfloat16")
]
# Of mixed precision, the rounding of its parts of a batch.
TOLERANCES = {"float32": 1e-5, "mixed_float16": 5e-3, "mixed_bfloat16": 5e-2}
