"""Figure 3 of SLAW: weights from estimated norms against those of true ones.

A point is a task of a run of MTRegression that ends at a random step.
"""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.checks import integer
from keras_mtl.data import SupportQuery
from keras_mtl.lab.experiments.mtregression import (
    MTRegressionExperiment,
    orthogonal,
)
from keras_mtl.lab.runs.batches import epoch_batches, steps_per_epoch
from keras_mtl.lab.runs.json_files import read_object, write_json
from keras_mtl.reporting.task_gradients import task_gradients
from keras_mtl.weighters import SLAW

# Steps that run at once: lengths of runs are multiples of it.
STEPS_AT_ONCE = 10
# As the authors' script does it, and as the paper's text has it.
WAYS = {
    "held": "weights held at 1",
    "in_use": "SLAW's weights in use",
}
POINTS = "points.json"


class Watched(SLAW):
    """SLAW, whose weights are kept, and used or not.

    Args:
        in_use: Boolean. Whether `call` returns them, or ones.
    """

    def __init__(self, in_use, **kwargs):
        super().__init__(**kwargs)
        self.in_use = in_use

    def build(self, losses_shape):
        """Creates SLAW's state, and its weights."""
        super().build(losses_shape)
        self.estimate = self.add_state("estimate", losses_shape, "ones")

    def call(self, losses, present=None):
        """Returns SLAW's weights, or ones."""
        weights = super().call(losses, present)
        self.estimate.assign(weights)
        return weights if self.in_use else tf.ones_like(weights)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WatchedExperiment(MTRegressionExperiment):
    """MTRegression with `Watched`.

    Args:
        in_use: Boolean, as in `Watched`.
        **kwargs: As in `MTRegressionExperiment`.
    """

    in_use: bool = False

    def make_weighter(self):
        """Returns a new weighter."""
        return Watched(self.in_use)


def run_trials(out, trials=120, most_steps=1_000, tell=None, **settings):
    """Trains for the points that are not in the folder yet, and returns all.

    One model serves all runs of a way: each starts from parameters, data and
    optimizer of its own.

    Args:
        out: Path of the folder; it may not exist yet.
        trials: Integer, runs of each way.
        most_steps: Integer, at least 10, the longest run.
        tell: Function of a string, told of each run.
        **settings: Of `MTRegressionExperiment`.

    Returns:
        `{way: [point, ...]}`. A point is a dict of `trial`, `steps`, `task`
        (the number of the one that was drawn), and of `true` and `estimated`,
        the weights of all tasks.

    Raises:
        ValueError: If an argument is out of range, or the folder holds points
            of other settings.
    """
    trials = integer("trials", trials, 1)
    most_steps = integer("most_steps", most_steps, STEPS_AT_ONCE)
    config = {**WatchedExperiment(**settings).config(), "steps": most_steps}
    path = Path(out) / POINTS
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {way: [] for way in WAYS}
    if path.exists():
        there = read_object(path, "Remove it to begin anew.")
        if there["config"] != config:
            raise ValueError(
                f"'{path}' holds points of other settings. Pass another --out."
            )
        found = there["points"]
    for way, points in found.items():
        experiment = WatchedExperiment(in_use=way == "in_use", **settings)
        runs = None
        for trial in range(len(points), trials):
            runs = runs or Runs(experiment)
            points.append(runs.point(trial, most_steps))
            write_json(path, {"config": config, "points": found}, indent=None)
            if tell is not None:
                tell(f"{WAYS[way]}: {trial + 1} of {trials}")
    return {way: points[:trials] for way, points in found.items()}


class Runs:
    """Runs of one experiment that share a compiled model.

    Args:
        experiment: `WatchedExperiment`.
    """

    def __init__(self, experiment):
        self._experiment, self._model, self._start = experiment, None, []

    def point(self, trial, most_steps) -> dict:
        """Trains to a random step, and returns the point.

        Args:
            trial: Integer, the seed of all that is random.
            most_steps: Integer.
        """
        experiment = dataclasses.replace(self._experiment, seed=trial)
        rng = np.random.default_rng([trial, most_steps])
        executions = int(rng.integers(1, most_steps // STEPS_AT_ONCE + 1))
        steps, parts = executions * STEPS_AT_ONCE, experiment.load()
        model, size = self._fresh(experiment, parts), experiment.batch_size
        data = SupportQuery(parts.train, None)
        epochs = -(-steps // steps_per_epoch(parts.train, size, False))
        batches = epoch_batches(data, size, 0, epochs, trial, False)
        model.fit(batches, steps_per_epoch=steps, verbose=0)
        # The last batch, at the parameters that it led to.
        x, y = next(iter(batches.skip(steps - 1)))
        report = task_gradients(model, x, y, scope="last_shared_layer")
        estimated = tf.convert_to_tensor(model.weighter.estimate).numpy()
        return {
            "trial": trial,
            "steps": steps,
            "task": int(rng.integers(len(estimated))),
            "true": _inverse(report.norms).tolist(),
            "estimated": estimated.tolist(),
        }

    def _fresh(self, experiment, parts):
        """Returns the model, as one that was just made with that seed."""
        if self._model is None:
            model = self._model = experiment.build(parts)
            experiment.compile(model)
            model.steps_per_execution = STEPS_AT_ONCE
            width = parts.train[0].shape[1]
            model.build_from_inputs(keras.KerasTensor((None, width)))
            model.optimizer.build(model.trainable_variables)
            self._start = [
                (variable, tf.convert_to_tensor(variable).numpy())
                for variable in (
                    *model.optimizer.variables,
                    *model.weighter.variables,
                )
            ]
        for variable, value in self._start:
            variable.assign(value)
        layers = [self._model.encoder, *self._model.heads.values()]
        variables = [v for layer in layers for v in layer.trainable_variables]
        for number, variable in enumerate(variables):
            value = np.zeros(variable.shape)
            if len(variable.shape) > 1:
                seed = int(experiment.seed * len(variables) + number)
                value = orthogonal(seed)(variable.shape)
            variable.assign(value)
        return self._model


def _inverse(norms):
    """Returns equation 4: weights in proportion to `1 / norm`, of mean 1."""
    inverse = 1.0 / np.asarray(norms, "float64")
    return inverse / inverse.mean()


def agreement(points) -> dict:
    """Returns how the drawn tasks' weights agree.

    Args:
        points: List of points.

    Returns:
        Dict of `rank_correlation` (Spearman's), `correlation` (of the
        logarithms) and `slope` (of the estimates' logarithms on the true
        ones').
    """
    x, y = np.log(drawn(points)).T
    ranks = [np.argsort(np.argsort(values)) for values in (x, y)]
    return {
        "rank_correlation": float(np.corrcoef(*ranks)[0, 1]),
        "correlation": float(np.corrcoef(x, y)[0, 1]),
        "slope": float(np.polyfit(x, y, 1)[0]),
    }


def drawn(points):
    """Returns `(n, 2)`, true and estimated weight of the task of each point."""
    return np.array(
        [[p[name][p["task"]] for name in ("true", "estimated")] for p in points]
    )
