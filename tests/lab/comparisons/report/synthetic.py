"""A comparison as `keras-mtl compare` writes it, with made-up results."""

import json

import numpy as np

METHODS = (
    *("stl", "uniform", "uncertainty", "dwa", "slaw", "bandit_mtl"),
    *("tchebycheff", "gradnorm", "mgda", "pcgrad", "meta_weighting", "cagrad"),
)
TASKS = (
    *("books", "dvd", "electronics", "kitchen", "apparel", "camera", "health"),
    *("music", "toys", "video", "baby", "magazines", "software", "sports"),
)
ACCURACY = {
    "key": "test_accuracy",
    "label": "test accuracy",
    "unit": "%",
    "factor": 100.0,
    "higher_is_better": True,
}
EPOCHS, STEPS_PER_EPOCH = 25, 40


def planned(methods, seeds, sweeps):
    """Returns the names of the cells that are asked for."""
    groups = [
        *methods,
        *(
            f"meta_weighting@{parameter}={value:g}"
            for parameter, values in sweeps.items()
            for value in values
        ),
    ]
    return [f"{group}/seed_{seed}" for group in groups for seed in range(seeds)]


def declaration(methods=METHODS, tasks=TASKS, seeds=3, **given):
    """Returns the content of `compare.json`."""
    return {
        "experiment": "sentiment",
        "settings": {"epochs": EPOCHS, "batch_size": 64},
        "score": ACCURACY,
        "methods": list(methods),
        "seeds": seeds,
        "sweeps": {},
        "cells": planned(methods, seeds, given.get("sweeps", {})),
        "plain_values": {},
        **given,
    }


def cell(method, seed, tasks=TASKS, sweep=None, gain=0.0):
    """Returns the content of a finished cell."""
    rng = np.random.default_rng([seed, *map(ord, method)])
    single = method == "stl"
    base = 0.85 + 0.08 * np.cos(np.arange(len(tasks))) + gain
    base = base + 0.01 * rng.normal(size=len(tasks))
    accuracies = dict(zip(tasks, base.round(4).tolist(), strict=True))
    average = float(np.mean(list(accuracies.values())))
    steps = np.arange(1, EPOCHS * STEPS_PER_EPOCH + 1, 5)
    walk = np.cumsum(0.03 * rng.normal(size=(len(steps), len(tasks))), axis=0)
    weights = np.exp(0.0 * walk if method == "uniform" else walk)
    epochs = np.arange(1, EPOCHS + 1)
    history = {"loss": (2.0 * np.exp(-epochs / 5) + 0.1).tolist()}
    places = np.linspace(0, len(steps) - 1, EPOCHS).astype(int)
    for k, task in enumerate(tasks):
        learned = base[k] - (base[k] - 0.5) * np.exp(-epochs / 4)
        noise = 0.004 * rng.normal(size=EPOCHS)
        history[f"val_{task}_accuracy"] = (learned + noise).tolist()
        history[f"{task}_weight"] = weights[places, k].tolist()
    return {
        "method": method,
        "seed": seed,
        "sweep": sweep or {},
        "status": "finished",
        "error": None,
        "command": "keras-mtl compare sentiment --seeds 3 --out s",
        "threads": 1,
        "jobs": 2,
        "versions": {"keras_mtl": "0.1.0", "tensorflow": "2.21.0"},
        "config": {"learning_rate": 0.001},
        "num_parameters": 1234,
        "metrics": {
            "tasks": list(tasks),
            "test_accuracy": average,
            "test_accuracy_by_task": accuracies,
            "validation_score": average,
            "epoch": 17,
            "seconds": 300.0,
            "step_seconds": 0.2 + 0.01 * len(method),
            "step_processor_seconds": 0.1 * len(method),
        },
        "history": dict(sorted(history.items())),  # As Keras has it.
        "weights": None
        if single
        else {"steps": steps.tolist(), "values": weights.tolist()},
        "conflicts": None if single else conflicts(rng),
        # Only a bilevel method has query rows.
        "losses": losses(rng, tasks) if method == "meta_weighting" else None,
    }


def conflicts(rng):
    """Returns cosines that fall while the tasks are learned."""
    epochs = np.arange(1, EPOCHS + 1)
    cosine = 0.6 * np.exp(-epochs / 8) + 0.02 * rng.normal(size=EPOCHS)
    share = 0.5 - 0.4 * np.exp(-epochs / 8) + 0.02 * rng.normal(size=EPOCHS)
    return {
        "epochs": epochs.tolist(),
        "mean_cosine": cosine.tolist(),
        "negative_share": np.clip(share, 0, 1).tolist(),
    }


def losses(rng, tasks):
    """Returns losses at three epochs: training rows are fitted too well."""
    levels = {"training": (0.4, 0.1, 0.01), "query": (0.45, 0.25, 0.2)}
    levels["test"] = (0.44, 0.26, 0.21)
    document = {"epochs": [1, 5, 25], "num_query": dict.fromkeys(tasks, 240)}
    for name, level in levels.items():
        errors = {
            task: [x * float(rng.uniform(0.7, 1.3)) for x in level]
            for task in tasks
        }
        document[name] = {
            "error": errors,
            "loss": {t: [2.5 * x for x in rows] for t, rows in errors.items()},
        }
    return document


def write(folder, name, content):
    """Writes a JSON file, and the folders above it."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, "utf-8")


def write_comparison(folder, methods=METHODS, tasks=TASKS, seeds=3, **given):
    """Writes a comparison whose runs are all finished."""
    declared = declaration(methods, tasks, seeds, **given)
    write(folder, "compare.json", declared)
    for place, method in enumerate(methods):
        for seed in range(seeds):
            content = cell(method, seed, tasks, gain=0.002 * place)
            write(folder, f"cells/{method}/seed_{seed}.json", content)
    for parameter, values in declared["sweeps"].items():
        for place, value in enumerate(values):
            for seed in range(seeds):
                content = cell(
                    "meta_weighting",
                    seed,
                    tasks,
                    {parameter: value},
                    gain=0.01 * np.sin(place),
                )
                name = f"meta_weighting@{parameter}={value:g}"
                write(folder, f"cells/{name}/seed_{seed}.json", content)
