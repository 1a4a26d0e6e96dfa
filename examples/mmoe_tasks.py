"""
Title: When do tasks need mixtures of their own?
Author: keras_mtl authors
Date created: 2026/11/28
Last modified: 2026/11/28
Description: A shared bottom and MMoE on tasks that are more or less alike.
Accelerator: None
"""

"""
## Introduction

A layer that all tasks share serves them well as long as they want the same of
it. A mixture of experts (MMoE; Ma et al., 2018) lets each task choose. The
paper makes pairs of regression tasks whose weight vectors have a given cosine:
at 1 the tasks are equal but for noise, at 0.5 they differ.

Both models have the same number of parameters to within 1 %, the same data and
the same seeds, so that their losses can be compared in pairs. Run this file
with `--smoke` for a short version, with `--seeds 10 --results FILE` for the
published one: each model has the learning rate that served it best on other
seeds (`--first-seed 100`), unless `--learning-rate` gives one to both. Seeds
that the file already has are not run again.
"""

import argparse
import json
from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

from keras_mtl.lab.experiments import make_experiment

parser = argparse.ArgumentParser(description="Losses against correlation.")
parser.add_argument("--smoke", action="store_true", help="run for seconds only")
parser.add_argument("--seeds", type=int, default=2, help="runs of each model")
parser.add_argument("--first-seed", type=int, default=0)
parser.add_argument("--results", default="mmoe_tasks.json", help="kept losses")
parser.add_argument("--epochs", type=int)
parser.add_argument("--learning-rate", type=float, help="of both models")
parser.add_argument(
    "--correlations", type=float, nargs="+", default=[0.5, 0.9, 1.0]
)
parser.add_argument("--picture", default="mmoe_tasks.png")
arguments = parser.parse_args()

CORRELATIONS = [0.5] if arguments.smoke else arguments.correlations
SIZES = {"num_train": 512, "num_test": 256, "epochs": 1}
settings = SIZES if arguments.smoke else {}
for name in ("epochs", "learning_rate"):
    if getattr(arguments, name) is not None:
        settings = {**settings, name: getattr(arguments, name)}
models = ["shared_bottom", "mmoe"]

"""
## Training

An experiment knows its data, model and optimizer. No row is seen twice: there
are as many training rows as all steps take. The test rows are looked at once,
at the end.
"""


def experiment_of(correlation, architecture, seed):
    return make_experiment(
        "mmoe_tasks",
        correlation=correlation,
        architecture=architecture,
        seed=seed,
        **settings,
    )


def start_of(experiment, parts):
    """A new model, whose start follows from the seed."""
    keras.utils.set_random_seed(experiment.seed)
    model = experiment.build(parts)
    model(parts.train[0][:1])
    return model


"""
To trace a model takes as long as to train it here. So each architecture has one
compiled model, which goes back to another start for each run.
"""

compiled = {}


def train(experiment, parts):
    fresh = start_of(experiment, parts)
    model = compiled.get(experiment.architecture)
    if model is None:
        model = compiled[experiment.architecture] = start_of(experiment, parts)
        experiment.compile(model)
    for variable, start in zip(
        model.trainable_variables, fresh.trainable_variables, strict=True
    ):
        variable.assign(start)
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))
    model.fit(
        *parts.train,
        batch_size=experiment.batch_size,
        epochs=experiment.epochs,
        verbose=0,
    )
    return model


"""
## What the gates do

Of a row, the gate of each task has a weight for each expert. Their distance is
the share of the weight that one task puts elsewhere than the other: half the
sum of the differences, 0 if both mix alike, 1 if no expert serves both.
"""


def gate_distance(encoder, x):
    first, second = (
        np.asarray(weights) for weights in encoder.gate_weights(x).values()
    )
    return float(np.mean(np.abs(first - second).sum(axis=1)) / 2.0)


results = Path(arguments.results)
found = json.loads(results.read_text()) if results.exists() else {}
seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
for correlation in CORRELATIONS:
    of_correlation = found.setdefault(str(correlation), {})
    for number, seed in enumerate(seeds):
        if len(of_correlation.get("gate_distance", [])) > number:
            continue
        parts, row = None, {}
        for architecture in models:
            experiment = experiment_of(correlation, architecture, seed)
            parts = parts or experiment.parts()
            model = train(experiment, parts)
            row[architecture] = experiment.evaluate(model, parts, None)[
                "test_mse"
            ]
        x = parts.test[0]
        row["gate_distance"] = gate_distance(model.encoder, x)
        fresh = start_of(experiment, parts).encoder
        row["gate_distance_at_start"] = gate_distance(fresh, x)
        for name, value in row.items():
            of_correlation.setdefault(name, []).append(value)
        results.write_text(json.dumps(found, indent=1))

"""
## Differences, in pairs

A seed decides the data as well as the start, and some are harder than others.
That cancels in the difference of two models with one seed.
"""


def interval(values):
    """The mean and the half width of its 95 % interval."""
    values = np.array(values)
    error = values.std(ddof=1) / np.sqrt(len(values))
    return values.mean(), error * stats.t.ppf(0.975, len(values) - 1)


for correlation, own in found.items():
    shared, mmoe = (np.array(own[name]) for name in models)
    mean, half = interval(mmoe - shared)
    relative, relative_half = interval(np.log(mmoe / shared))
    start, end = own["gate_distance_at_start"], own["gate_distance"]
    print(
        f"p = {correlation}, {len(mmoe)} seeds: shared bottom "
        f"{shared.mean():.4f}, MMoE {mmoe.mean():.4f}, difference "
        f"{mean:+.4f} ± {half:.4f}; ratio {np.exp(relative):.2f} from "
        f"{np.exp(relative - relative_half):.2f} to "
        f"{np.exp(relative + relative_half):.2f}; MMoE better with "
        f"{(mmoe < shared).sum()} seeds; distance of its gates "
        f"{np.mean(start):.2f} before and {np.mean(end):.2f} after"
    )

"""
## The picture

Left, the loss of each seed and geometric means with their intervals, those of
the logarithms; right, how far apart the gates of the two tasks are.
"""


def draw(panel, shift, label, name, to=np.asarray, back=np.asarray):
    places = [float(correlation) + shift for correlation in found]
    points = [interval(to(own[name])) for own in found.values()]
    ends = [back([m - half, m, m + half]) for m, half in points]
    low, middle, high = np.transpose(ends)
    (line, *_) = panel.errorbar(
        places,
        middle,
        [middle - low, high - middle],
        marker="o",
        capsize=3,
        label=label,
    )
    for place, own in zip(places, found.values(), strict=True):
        panel.plot(
            [place + shift / 2.0] * len(own[name]),
            own[name],
            ".",
            color=line.get_color(),
            alpha=0.4,
        )


figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
draw(left, -0.008, "shared bottom", "shared_bottom", np.log, np.exp)
draw(left, 0.008, "MMoE", "mmoe", np.log, np.exp)
left.set(
    xlabel="correlation p of the tasks",
    ylabel="test mean squared error",
    yscale="log",
    title="Loss: seeds, geometric means, 95 % intervals",
)
draw(right, -0.008, "before training", "gate_distance_at_start")
draw(right, 0.008, "after", "gate_distance")
right.set(
    xlabel="correlation p of the tasks",
    ylabel="weight that the tasks' gates put elsewhere",
    ylim=(0.0, 1.0),
    title="Distance of MMoE's gates",
)
for panel in (left, right):
    panel.legend()
figure.savefig(arguments.picture, dpi=150)
print("saved", arguments.picture)
