"""A callback that tells a multi-task model of its own training."""

import copy
import math
import warnings

import keras
import tensorflow as tf

from keras_mtl.callbacks.log_writer import LogWriter, writers_first
from keras_mtl.callbacks.progress_line import with_line


class TrainingMonitor(keras.callbacks.Callback):
    """Counts epochs for the weighter, and says what went wrong in one.

    `MultiTaskModel.fit` adds it by itself.

    Example:

    >>> history = model.fit(x, y, epochs=2, verbose=0)
    >>> int(model.epoch)  # What it counts; weighters read it.
    2

    Args:
        others: Iterable of the callbacks that it stands beside.
        validates: Boolean, whether some epochs end with a validation.
        rotation: `Epoch` of batches that depend on it, or `None`.
    """

    def __init__(self, others=(), validates=False, rotation=None):
        super().__init__()
        self._rotation = rotation
        self._others, self._validates = list(others), validates
        self._told = self._told_unlabelled = False

    def on_epoch_begin(self, epoch, logs=None):
        """Tells the weighter how many epochs are finished."""
        # Goes on where another `fit` ended.
        finished = max(float(epoch), _value(self.model.epoch))
        self.model.epoch.assign(finished)
        if self._rotation is not None:
            self._rotation.number = int(finished)
        if hasattr(self.model.weighter, "reset_solver_state"):
            self.model.weighter.reset_solver_state()
        for callback in self._others:
            # Nothing is less than NaN: a first epoch without a step that
            # counts would stay the best.
            best = getattr(callback, "best", None)
            if isinstance(best, float) and math.isnan(best):
                callback.best = None

    def on_epoch_end(self, epoch, logs=None):
        """Warns of skipped steps, missing labels and a solver that gave up."""
        self.model.epoch.assign_add(1.0)
        logs = {} if logs is None else logs
        if self._rotation is not None:
            logs |= self._rotation.log()
        faults = self.model.epoch_faults
        if faults is None:
            return
        tasks = self.model.task_names
        labelled = zip(tasks, faults.labelled, strict=True)
        self.model.labelled_tasks |= {task for task, has in labelled if has}
        skipped = int(logs.get("skipped_steps", 0))
        if skipped and not self._told and not self._finds_loss_scale():
            self._told = True
            warnings.warn(
                f"{skipped} steps of epoch {epoch + 1} were skipped: "
                f"{self._cause(faults)}. Parameters and weighter kept their "
                "values. Look for NaN in the data, or lower the learning rate; "
                "History counts `skipped_steps`.",
                stacklevel=2,
            )
        self._name_columns(logs)
        self._check_solver(self.model.weighter)
        if epoch + 1 < (self.params or {}).get("epochs", 0):
            self._check_labels(skipped, "so far")

    def on_train_end(self, logs=None):
        """Warns if a task never had a label."""
        self._told_unlabelled = False
        if logs and self.model.epoch_faults:  # That is, there was an epoch.
            self._check_labels(logs.get("skipped_steps"), "at all")

    def _check_labels(self, skipped, when):
        tasks = self.model.task_names
        known = self.model.labelled_tasks | self.model.absent_tasks
        missing = [task for task in tasks if task not in known]
        if skipped or not missing or self._told_unlabelled:
            return
        self._told_unlabelled = True
        warnings.warn(
            f"The tasks {missing} had no label {when} in any step that was "
            "trained: their labels are missing, or their sample weights are "
            "all 0. Give them labels, or leave them out of the model.",
            stacklevel=3,
        )

    def _cause(self, faults):
        tasks = self.model.task_names
        spoilt = [
            task for task, bad in zip(tasks, faults.spoilt, strict=True) if bad
        ]
        if spoilt:
            return f"the losses of the tasks {spoilt} were not finite"
        if faults.variable < 0:
            return "a loss or a signal of the weighter was not finite"
        path = self.model.trainable_variables[faults.variable].path
        return (
            f"the gradient of the variable {path!r} was not finite, though the "
            "losses were"
        )

    def _name_columns(self, logs):
        """Gives `CSVLogger` the columns that will be filled, and no more."""
        names = sorted(logs)
        if self._validates and not any(n.startswith("val_") for n in names):
            names += [f"val_{name}" for name in self.model.evaluation_names()]
        for callback in self._others:
            if isinstance(callback, LogWriter):
                names += [n for n in callback.columns() if n not in names]
        for callback in self._others:
            if isinstance(callback, keras.callbacks.CSVLogger):
                callback.keys = callback.keys or names

    def _finds_loss_scale(self):
        # A dynamic loss scale is found by overflow, now and then.
        scale = getattr(self.model.optimizer, "dynamic_scale", None)
        return scale is not None and _value(scale) >= 1.0

    def _check_solver(self, weighter):
        gap = getattr(weighter, "solver_gap", None)
        if gap is not None and _value(gap) > weighter.tolerance:
            warnings.warn(
                f"{type(weighter).__name__}'s solver stopped with gap "
                f"{_value(gap):.1e} (tolerance {weighter.tolerance:.0e}) after "
                f"{int(_value(weighter.solver_iterations))} steps. "
                "Raise max_iterations.",
                stacklevel=3,
            )


def with_monitor(model, fit):
    """Returns the callbacks of `fit` and a monitor; what is given stays.

    Args:
        model: `MultiTaskModel`.
        fit: Dict of the arguments of `fit`, and `rotation`, taken out.
    """
    rotation = fit.pop("rotation", None)
    callbacks, validates = fit["callbacks"], bool(fit["validation_split"])
    validates |= fit["validation_data"] is not None
    # First: what saves the model saves the epochs finished too.
    if not isinstance(callbacks, keras.callbacks.CallbackList):
        given = writers_first(keras.tree.flatten(callbacks or []))
        monitored = [TrainingMonitor(given, validates, rotation), *given]
        return with_line(model.task_names, monitored, fit["verbose"])
    monitor = TrainingMonitor(callbacks.callbacks, validates, rotation)
    monitor.set_model(model)
    monitor.set_params(callbacks.params)
    extended = copy.copy(callbacks)
    extended.callbacks = [monitor, *writers_first(callbacks.callbacks)]
    return extended


def _value(variable):
    # Keras cannot convert a variable that is spread over replicas.
    return float(tf.convert_to_tensor(variable))
