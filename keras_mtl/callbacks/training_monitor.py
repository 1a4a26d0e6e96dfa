"""What Keras tells a multi-task model of its own training."""

import math
import warnings

import keras
import tensorflow as tf


class TrainingMonitor(keras.callbacks.Callback):
    """Counts epochs for the weighter, and says what went wrong in one.

    `MultiTaskModel.fit` adds it by itself.
    """

    def on_train_begin(self, logs=None):
        """Starts to look for labels of every task."""
        self._told = False

    def on_epoch_begin(self, epoch, logs=None):
        """Tells the weighter how many epochs are finished."""
        # Goes on where another `fit` ended.
        finished = max(float(epoch), _value(self.model.epoch))
        self.model.epoch.assign(finished)
        if hasattr(self.model.weighter, "reset_solver_state"):
            self.model.weighter.reset_solver_state()

    def on_epoch_end(self, epoch, logs=None):
        """Warns of skipped steps and of a solver that gave up."""
        self.model.epoch.assign_add(1.0)
        logs = logs or {}
        skipped = int(logs.get("skipped_steps", 0))
        if not skipped:
            self.model.labelled_tasks |= {
                task
                for task in self.model.task_names
                if not math.isnan(logs.get(f"{task}_loss", 0.0))
            }
        if skipped and not self._told and not self._finds_loss_scale():
            self._told = True
            warnings.warn(
                f"{skipped} steps of epoch {epoch + 1} were skipped: a loss or "
                "a signal of the weighter was not finite. Parameters and "
                "weighter kept their values. Look for NaN in the data, or "
                "lower the learning rate; History counts `skipped_steps`.",
                stacklevel=2,
            )
        self._check_solver(self.model.weighter)

    def on_train_end(self, logs=None):
        """Raises if a task never had a label."""
        missing = set(self.model.task_names) - self.model.labelled_tasks
        if logs and not logs.get("skipped_steps") and missing:
            raise ValueError(
                f"The tasks {sorted(missing)} had no label in any step that "
                "was trained: their sample weights are all 0 there. Give them "
                "labels, or leave them out of the model."
            )

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


def _value(variable):
    # Keras cannot convert a variable that is spread over replicas.
    return float(tf.convert_to_tensor(variable))
