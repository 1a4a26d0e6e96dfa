"""One run of a user's own model: a weighter, a seed, and what it reached."""

import dataclasses
import json
import math
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from keras_mtl import weighters
from keras_mtl.compat import layers_within
from keras_mtl.data import labels
from keras_mtl.lab.comparisons.best_epoch import BestEpoch
from keras_mtl.lab.comparisons.own_data import (
    first_batch,
    is_set,
    num_rows,
    of_task,
)
from keras_mtl.lab.comparisons.scores import SCORE_KEY, Metrics
from keras_mtl.lab.runs.folder import versions
from keras_mtl.model import MultiTaskModel
from keras_mtl.signals import reads_query

# All layers of models that were compared in this process.
_MADE = weakref.WeakSet()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Trial:
    """How every run of a comparison trains and is judged.

    Args:
        make_model: Function from a seed to a compiled `MultiTaskModel`.
        train: Tuple `(x, y)` or `(x, y, sample_weight)`, or a data set.
        validation: The same, to choose the epoch by.
        test: The same, to judge the chosen epoch by; None to judge by
            `validation`.
        epochs: Integer, at least 1.
        batch_size: Integer, or None for data sets.
        metrics: `Metrics`.
        query: Dict of `query_split` or `query_data`, for weighters that learn
            from query rows.
        fit_arguments: Dict, further arguments of `fit`.
        optimizer: Dict, the model's optimizer, so that a folder of results of
            another one is not taken for this.
        architecture: What `make_model` takes after the seed; None for nothing.
    """

    make_model: Callable[..., MultiTaskModel]
    train: Any
    validation: Any
    test: Any
    epochs: int
    batch_size: int | None
    metrics: Metrics
    query: Mapping
    fit_arguments: Mapping
    optimizer: Mapping
    architecture: str | None = None

    def make(self, seed) -> MultiTaskModel:
        """Returns a new model, if it can be compared.

        What follows draws from its seed, too.
        """
        return check_made(self.make_model, seed, self.architecture)

    def run(self, weighter, seed, on_epoch, task=None, should_stop=None):
        """Trains one model from its seed, and returns a cell's content.

        Args:
            weighter: Config dict of a weighter.
            seed: Integer.
            on_epoch: Function of a dict of `epoch`, `epochs` and `loss`.
            task: String, the only task to train, or None for all.
            should_stop: Function that says after each epoch whether to end.

        Returns:
            Dict, as the file of a finished cell has it.
        """
        model = self.make(seed)
        best = BestEpoch(self.metrics, task, on_epoch, should_stop)
        own = dict(self.fit_arguments)
        weighter_in_use = weighters.deserialize(weighter)
        if reads_query(weighter_in_use):
            own |= self.query
        x, *rest = of_task(self.train, task)
        if self.batch_size is not None and rest:
            own["batch_size"] = self.batch_size
        model.fit(
            x,
            *rest[:1],
            **({"sample_weight": rest[1]} if rest[1:] else {}),
            epochs=self.epochs,
            validation_data=_whole(of_task(self.validation, task)),
            weighter=weighter_in_use,
            callbacks=[best],
            verbose=0,
            **own,
        )
        logs, prefix = best.logs, "val_"
        if self.test is not None:
            model.set_weights(best.weights)
            test = of_task(self.test, task)
            logs, prefix = _evaluated(model, test, self.batch_size), ""
        scores = self.metrics.read(logs, prefix, task)
        _check_finite(scores, best.epoch)
        return self._content(model, best, scores, seed, weighter)

    def _content(self, model, best, scores, seed, weighter):
        first = {task: next(iter(of.values())) for task, of in scores.items()}
        names = [f"{task}_weight" for task in scores]
        weights = [best.history.get(name) for name in names]
        known = all(curve is not None for curve in weights)
        ends = [best.steps * (n + 1) for n in range(len(best.seconds))]
        return {
            "config": self.config(weighter, seed),
            "versions": versions(),
            "num_parameters": sum(
                int(np.prod(v.shape)) for v in model.trainable_variables
            ),
            "metrics": {
                "tasks": [*scores],
                SCORE_KEY: float(np.mean([*first.values()])),
                f"{SCORE_KEY}_by_task": first,
                "scores": scores,
                "epoch": best.epoch,
                "seconds": sum(best.seconds),
                # Without the first epoch, which compiles.
                "step_seconds": float(np.median(best.seconds[1:] or [np.nan]))
                / max(best.steps, 1),
            },
            "history": best.history,
            "weights": (
                {"steps": ends, "values": np.transpose(weights).tolist()}
                if known
                else None
            ),
            "conflicts": None,
            "losses": None,
        }

    def config(self, weighter, seed) -> dict:
        """Returns what decides the result of a run, for JSON."""
        return {
            "weighter": weighter,
            "seed": seed,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "rows": {
                name: num_rows(getattr(self, name))
                for name in ("train", "validation", "test")
            },
            "metric": {t: list(of) for t, of in self.metrics.by_task.items()},
            "query_split": self.query.get("query_split"),
            "optimizer": self.optimizer,
            **(
                {"architecture": self.architecture} if self.architecture else {}
            ),
        }


def check_made(make_model, seed, architecture=None) -> MultiTaskModel:
    """Returns what `make_model` makes, if it can be compared.

    It makes the model from the seed also where nothing is trained: settings
    that it draws are those of the runs, and of the next call.

    Raises:
        ValueError: If that is no compiled `MultiTaskModel`, or not a new one.
    """
    own = () if architecture is None else (architecture,)
    keras.utils.set_random_seed(seed)
    model = make_model(seed, *own)
    if not isinstance(model, MultiTaskModel):
        raise ValueError(
            "make_model(seed) must return a keras_mtl.MultiTaskModel. "
            f"Received: {model!r} (of type {type(model).__name__}) for "
            f"seed={seed}"
        )
    if not model.compiled:
        raise ValueError(
            "make_model(seed) must return a compiled model: call "
            "model.compile(optimizer=..., loss=..., metrics=...) in it. The "
            "weighter is the comparison's."
        )
    for layer in layers_within(model):
        if layer in _MADE and layer.trainable_variables:
            raise ValueError(
                "make_model(seed) must make a new model at each call: its "
                f"layer {layer.name!r} was part of an earlier one, and keeps "
                "what that learned. Make all layers that are trained inside "
                "the function."
            )
    _MADE.update(layers_within(model))
    return model


def check_data(model, trial):
    """Raises if a metric is none of the model's, or data do not fit it.

    Args:
        model: `MultiTaskModel`, compiled, which this leaves unusable.
        trial: `Trial`.
    """
    model.run_eagerly = True  # One batch is not worth compiling for.
    for part in (trial.validation, trial.test):
        batch = None if part is None else first_batch(part)
        if batch is not None:
            logs = model.test_on_batch(*batch, return_dict=True)
            trial.metrics.read(logs)
    if is_set(trial.train):
        return
    x, y, *weight = trial.train
    labels.for_training(
        model,
        model.arrangement.own_rows(x, trial.fit_arguments.get("task")),
        y,
        weight[0] if weight else None,
        trial.fit_arguments.get("class_weight"),
        shuffle=True,
    )


def check_weighter(name, config, model, trial):
    """Raises if a weighter cannot serve the model's tasks and the data.

    Args:
        name: String, the method's.
        config: Config dict of the weighter.
        model: `MultiTaskModel`.
        trial: `Trial`.
    """
    weighter = weighters.deserialize(config)
    weighter.bind(len(model.task_names), model.task_names)
    splits = is_set(trial.train) and "query_data" not in trial.query
    if splits and reads_query(weighter):
        raise ValueError(
            f"The method {name!r} learns from query rows, and a data set "
            "cannot be split into training and query rows. Pass data['query'], "
            "arrays or a data set of their own."
        )


def optimizer_of(model) -> dict:
    """Returns the optimizer of a model, for JSON."""
    config = keras.optimizers.serialize(model.optimizer)
    return json.loads(json.dumps(_set(config), default=str))


def _set(config):
    """Returns what is set in a config; names count what was made before."""
    if not isinstance(config, dict):
        return config
    left = {"name", "module", "registered_name"}
    return {
        name: _set(value)
        for name, value in config.items()
        if value is not None and name not in left
    }


def _check_finite(scores, epoch):
    bad = [
        f"{task}_{name}={value}"
        for task, of in scores.items()
        for name, value in of.items()
        if not math.isfinite(value)
    ]
    if bad:
        raise ValueError(
            f"The metrics of the best epoch, {epoch}, are not finite: {bad}. "
            "Lower the learning rate, or look for tasks without labels."
        )


def _whole(data):
    return data[0] if len(data) == 1 else data


def _evaluated(model, data, batch_size):
    x, *rest = data
    own = {"batch_size": batch_size} if rest else {}
    return model.evaluate(
        x,
        *rest[:1],
        **({"sample_weight": rest[1]} if rest[1:] else {}),
        **own,
        verbose=0,
        return_dict=True,
    )
