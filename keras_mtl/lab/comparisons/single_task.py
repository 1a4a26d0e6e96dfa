"""Single-task learning: the model of a comparison, for each task alone.

A run is a function of data, architecture and seed: its result is kept for
every later comparison, below Keras' own folder.
"""

import dataclasses
import hashlib
import json
import os
import statistics
import warnings
from pathlib import Path

from keras_mtl.lab.comparisons.summary import summary
from keras_mtl.lab.runs.folder import METRICS, versions
from keras_mtl.lab.runs.json_files import read_object, write_json
from keras_mtl.lab.runs.running import train

SUMMED = ("seconds", "step_seconds", "step_processor_seconds")


def train_single_tasks(experiment, out, callbacks, test=True) -> dict:
    """Trains a model for each task, and returns the results as of one run.

    Args:
        experiment: `Experiment` of all tasks.
        out: String, the folder of the runs.
        callbacks: Keras callbacks.
        test: Boolean, whether to measure on the test rows.
    """
    tasks = experiment.tasks or experiment.all_tasks
    tasks = tasks or [*experiment.parts().train[1]]
    runs = {
        task: _train_once(
            dataclasses.replace(experiment, tasks=(task,)),
            Path(out) / task,
            callbacks,
            test,
        )
        for task in tasks
    }
    key, judged = experiment.score.key, {}
    if test:
        by_task = {task: run["metrics"][key] for task, run in runs.items()}
        mean = statistics.mean(by_task.values())
        judged = {key: mean, f"{key}_by_task": by_task}
        several = {
            task: scores
            for run in runs.values()
            for task, scores in run["metrics"].get("scores", {}).items()
        }
        judged |= {"scores": several} if several else {}
    metrics = [run["metrics"] for run in runs.values()]
    validated = [m["validation_score"] for m in metrics]
    first = runs[tasks[0]]
    history = {
        name: values
        for task, run in runs.items()
        for name, values in run["history"].items()
        if name.startswith((f"{task}_", f"val_{task}_"))
    }
    return {
        **first,
        "config": json.loads(json.dumps(experiment.config())),
        "num_parameters": sum(run["num_parameters"] for run in runs.values()),
        "metrics": {
            **judged,
            "validation_score": (
                None if None in validated else statistics.mean(validated)
            ),
            "epoch": max(m["epoch"] for m in metrics),
            **{
                name: sum(m[name] for m in metrics)
                for name in SUMMED
                if all(name in m for m in metrics)
            },
        },
        "history": history,
        "weights": None,
        "conflicts": None,
        "losses": None,
    }


def cache_folder() -> Path:
    """Returns the folder of results of single-task runs."""
    keras_home = os.environ.get("KERAS_HOME", Path.home() / ".keras")
    return Path(keras_home) / "keras_mtl" / "single_task"


def _train_once(experiment, out, callbacks, test):
    """Returns the summary of a run, made or kept from an earlier one."""
    used = versions(experiment.packages())
    what = json.dumps([experiment.config(), used, test], sort_keys=True)
    name = hashlib.sha256(what.encode()).hexdigest()[:32]
    kept = cache_folder() / f"{name}.json"
    if kept.exists() and not (out / METRICS).exists():
        result = read_object(kept, "Remove it to train again.")
        # They say nothing of the threads, or the machine, of this call.
        for name in SUMMED:
            result["metrics"].pop(name, None)
        return result
    train(experiment, out, resume=True, callbacks=callbacks, test=test)
    result = summary(experiment, out)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(kept, result)
    except OSError as error:
        warnings.warn(
            f"The single-task result is not kept for later comparisons: "
            f"'{kept}' cannot be written: {error.strerror}. Set KERAS_HOME to "
            "a folder that can.",
            stacklevel=2,
        )
    return result
