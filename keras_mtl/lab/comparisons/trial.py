"""One run of a user's own model: a weighter, a seed, and what it reached."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_mtl import weighters
from keras_mtl.lab.comparisons.scores import SCORE_KEY, Metrics
from keras_mtl.lab.runs.folder import versions
from keras_mtl.model import MultiTaskModel
from keras_mtl.signals import reads_query


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
    architecture: str | None = None

    def make(self, seed) -> MultiTaskModel:
        """Returns a new model, if it can be compared."""
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
        keras.utils.set_random_seed(seed)
        model = self.make(seed)
        best = BestEpoch(self.metrics, task, on_epoch, should_stop)
        own = dict(self.fit_arguments)
        weighter_in_use = weighters.deserialize(weighter)
        if reads_query(weighter_in_use):
            own |= self.query
        x, *rest = _of_task(self.train, task)
        if self.batch_size is not None and rest:
            own["batch_size"] = self.batch_size
        model.fit(
            x,
            *rest[:1],
            **({"sample_weight": rest[1]} if rest[1:] else {}),
            epochs=self.epochs,
            validation_data=_whole(_of_task(self.validation, task)),
            weighter=weighter_in_use,
            callbacks=[best],
            verbose=0,
            **own,
        )
        logs, prefix = best.logs, "val_"
        if self.test is not None:
            model.set_weights(best.weights)
            test = _of_task(self.test, task)
            logs, prefix = _evaluated(model, test, self.batch_size), ""
        scores = self.metrics.read(logs, prefix, task)
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
            **(
                {"architecture": self.architecture} if self.architecture else {}
            ),
        }


class BestEpoch(keras.callbacks.Callback):
    """Keeps the epoch whose validation metrics are the best.

    That is the one with the largest mean relative change against the first
    epoch: it needs no common unit.

    Args:
        metrics: `Metrics`.
        task: String, the only task that is trained, or None for all.
        on_epoch: Function of a dict of `epoch`, `epochs` and `loss`.
        should_stop: Function that says after each epoch whether to end.

    Attributes:
        epoch: Integer, from 1.
        logs: Dict, those of that epoch.
        weights: List of arrays, the model's after that epoch.
        history: Dict from name to a list of floats, one an epoch.
        seconds: List of floats, one an epoch.
        steps: Integer, in an epoch.
    """

    def __init__(self, metrics, task, on_epoch, should_stop):
        super().__init__()
        self._metrics, self._task, self._tell = metrics, task, on_epoch
        self._should_stop = should_stop
        self._first, self._best = None, -np.inf
        self.epoch, self.logs, self.weights = 0, {}, None
        self.history, self.seconds, self.steps = {}, [], 0

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the clock."""
        self._began, self.steps = time.monotonic(), 0
        self._ended = self._began

    def on_train_batch_end(self, batch, logs=None):
        """Counts steps; validation is not part of their time."""
        self.steps = max(self.steps, batch + 1)
        self._ended = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        """Keeps the logs, and the weights if they are the best yet."""
        self.seconds.append(self._ended - self._began)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        scores = self._metrics.read(logs, "val_", self._task)
        self._first = self._first or scores
        change = self._metrics.change(scores, self._first)
        if self.weights is None or change > self._best:
            self._best, self.epoch = change, epoch + 1
            self.logs, self.weights = dict(logs), self.model.get_weights()
        loss = float(logs.get("val_loss", logs["loss"]))
        self._tell(
            {"epoch": epoch + 1, "epochs": self.params["epochs"], "loss": loss}
        )
        if self._should_stop is not None and self._should_stop():
            self.model.stop_training = True


def check_made(make_model, seed, architecture=None) -> MultiTaskModel:
    """Returns what `make_model` makes, if it can be compared."""
    own = () if architecture is None else (architecture,)
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
    return model


def num_rows(data) -> int | None:
    """Returns the number of rows, or None where it is not known."""
    if data is None or isinstance(data, tf.data.Dataset):
        return None
    leaf = keras.tree.flatten(data[0])[0]
    return len(leaf) if hasattr(leaf, "__len__") else None


def _of_task(data, task) -> tuple:
    """Returns `(x, ...)` with the labels of one task alone, or all."""
    if task is None:
        return (data,) if isinstance(data, tf.data.Dataset) else tuple(data)

    def only(x, y, *weights):
        # None says that a task is left out on purpose.
        labels = {t: y[t] if t == task else None for t in y}
        own = [{task: w[task]} for w in weights if task in (w or ())]
        return (x, labels, *own)

    if isinstance(data, tf.data.Dataset):
        return (data.map(only),)
    return only(*data)


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
