"""Runs one experiment with one weighter, from data to metrics."""

import keras
import numpy as np

from keras_mtl.data import SupportQuery, support_query_split
from keras_mtl.data.rotation import rotations
from keras_mtl.lab.runs.batches import epoch_batches, steps_per_epoch
from keras_mtl.lab.runs.diagnostics import Diagnostics
from keras_mtl.lab.runs.folder import METRICS, RunFolder
from keras_mtl.lab.runs.recording import Recorder
from keras_mtl.signals import reads_query


def train(
    experiment,
    out,
    resume=False,
    callbacks=(),
    save_seconds=10.0,
    diagnose=False,
    test=True,
):
    """Trains into a folder; a run that was killed can go on.

    Writes `config.json`, `versions.json`, `history.json`, `metrics.json`,
    `weights.npy` (`(steps, K)`, the weights after each step), `model.keras`
    and the experiment's own files, for texts `served/`, a SavedModel that
    takes strings.

    Args:
        experiment: `Experiment`.
        out: String, the folder.
        resume: Boolean. Whether to go on with a run that is in the folder; the
            result is that of an uninterrupted run. Of a finished one, only
            the metrics are read.
        callbacks: Keras callbacks.
        save_seconds: Float. Epochs that end sooner after a checkpoint are not
            saved, unless the best yet.
        diagnose: Boolean. Whether the history has what `Diagnostics` measures
            after each epoch.
        test: Boolean. Whether to measure the model on the test rows at the
            end.

    Returns:
        Dict, the content of `metrics.json`.

    Raises:
        ValueError: If the folder cannot be used, or data are damaged.
    """
    folder = RunFolder(out, experiment.config(), resume)
    if folder.finished:
        return folder.read(METRICS)
    parts = experiment.parts()
    latest = folder.checkpoints.latest()
    if latest is None:
        model, recorder = compiled_model(experiment, parts), Recorder()
        folder.begin(experiment.packages())
    else:
        recorder = Recorder(*latest)
        model = folder.checkpoints.load_model(recorder.epochs_done)
    recorder.monitor, recorder.save_seconds = experiment.monitor, save_seconds
    recorder.folder = folder
    fit(experiment, model, parts, recorder, callbacks, diagnose)
    if recorder.best_epoch is not None:
        model = folder.checkpoints.load_model(recorder.best_epoch)
    task_weights, history = recorder.task_weights, recorder.history
    judged = experiment.evaluate(model, parts, task_weights) if test else {}
    metrics = {
        "tasks": list(model.task_names),
        **parts.facts,
        **judged,
        "validation_score": recorder.best_score,
        "epoch": recorder.best_epoch or recorder.epochs_done,
        "seconds": sum(history["seconds"]),
        **{
            name: float(np.median(history[name]))
            for name in ("step_seconds", "step_processor_seconds")
            if name in history
        },
        "num_parameters": sum(
            int(np.prod(v.shape)) for v in model.trainable_variables
        ),
    }
    experiment.export(model, parts, folder.path)
    folder.finish(model, history, task_weights, parts.files, metrics)
    return metrics


def compiled_model(experiment, parts):
    """Returns a new model whose parameters depend on the seed alone."""
    keras.utils.set_random_seed(experiment.seed)
    model = experiment.build(parts)
    experiment.compile(model)
    return model


def fit(experiment, model, parts, recorder, callbacks=(), diagnose=False):
    """Trains the epochs that are left, batches in an order by the seed.

    Args:
        experiment: `Experiment`.
        model: Compiled `MultiTaskModel`.
        parts: Result of `experiment.parts()`.
        recorder: `Recorder`, which knows how many epochs are done.
        callbacks: Keras callbacks.
        diagnose: Boolean, as in `train`.
    """
    if recorder.epochs_done >= experiment.epochs:
        return
    data, rotating = SupportQuery(parts.train, None), None
    if reads_query(model.weighter):
        data, rotating = _with_query(experiment, parts)
    batches = epoch_batches(
        data,
        experiment.batch_size,
        recorder.epochs_done,
        experiment.epochs,
        experiment.seed,
        experiment.separate,
        experiment.augment,
        rotating,
    )
    # What they add to the logs is recorded.
    measures = []
    if diagnose:
        rows = experiment.conflict_rows, experiment.evaluation_batch
        measures = [Diagnostics(data, parts.test, *rows)]
    measures += experiment.callbacks(parts)
    model.fit(
        batches,
        epochs=experiment.epochs,
        initial_epoch=recorder.epochs_done,
        steps_per_epoch=steps_per_epoch(
            data.support, experiment.batch_size, experiment.separate, rotating
        ),
        validation_data=parts.validation,
        validation_batch_size=experiment.evaluation_batch,
        shuffle=False,  # The batches are shuffled.
        callbacks=[*measures, recorder, *callbacks],
        verbose=0,
    )


def _with_query(experiment, parts):
    """Returns the `SupportQuery`, and the rotation of its support or None."""
    if experiment.query == "validation":
        if parts.validation is None:
            raise ValueError(
                f"The experiment {experiment.name!r} has no validation rows. "
                "Pass query='split' or query='rotation'."
            )
        return SupportQuery(parts.train, parts.validation), None
    share, seed = experiment.query_split, experiment.seed
    if experiment.query == "split":
        return support_query_split(
            *parts.train, query_split=share, seed=seed
        ), None
    _, y, *weight = parts.train
    separate = experiment.separate
    rotating = rotations(y, *(weight or [None]), share, seed, separate)
    return SupportQuery(parts.train, None), rotating
