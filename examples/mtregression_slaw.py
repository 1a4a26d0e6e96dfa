"""
Title: Finding the ideal weights of ten tasks
Author: keras_mtl authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: SLAW learns the weights of ten tasks whose best weights are known.
Accelerator: None
"""

"""
## Introduction

Which weights are right? For most data nobody knows. MTRegression is made so
that we do: ten regression tasks are alike but for their scale. The labels of
task k are k times as large as those of task 1, so its squared errors are k²
times as large, and weights in proportion to 1/k² treat all tasks alike.

SLAW (Crawshaw and Kosecka, 2021) is not told the scales. It watches how much
each task's loss varies from step to step, and weighs by the inverse.

Run this file with `--smoke` for a short version.
"""

import argparse

import keras
import matplotlib.pyplot as plt
import numpy as np

from keras_mtl import MultiTaskModel
from keras_mtl.lab.datasets.mt_regression import generate

parser = argparse.ArgumentParser(description="The ideal weights of ten tasks.")
parser.add_argument("--smoke", action="store_true", help="run for seconds only")
smoke = parser.parse_args().smoke

NUM_TASKS = 10
keras.utils.set_random_seed(0)

"""
## The data and the ideal weights

Weights are scaled so that they sum to the number of tasks.
"""

x, y = generate(seed=0, num_samples=1_216 if smoke else 9_000)
print("inputs:", x.shape, "labels of each task:", y["task_1"].shape)

ideal = 1.0 / np.arange(1.0, NUM_TASKS + 1.0) ** 2
ideal *= NUM_TASKS / ideal.sum()

"""
## The model

Four layers that all tasks share, and a linear head for each task.
"""

inputs = hidden = keras.Input(x.shape[1:])
for _ in range(4):
    hidden = keras.layers.Dense(
        100, activation="tanh", kernel_initializer="orthogonal"
    )(hidden)

model = MultiTaskModel(
    encoder=keras.Model(inputs, hidden),
    heads={
        task: keras.layers.Dense(labels.shape[1]) for task, labels in y.items()
    },
)
model.compile(
    optimizer=keras.optimizers.Adam(7e-4, epsilon=1e-5, global_clipnorm=0.5),
    loss="mse",
    weighter="slaw",
)

"""
## Training

History holds the weights' means over an epoch. To see every step, a callback
reads `model.task_weights`.
"""

weights = []
read_weights = keras.callbacks.LambdaCallback(
    on_train_batch_end=lambda batch, logs: weights.append(
        list(model.task_weights.values())
    )
)
model.fit(
    x,
    y,
    batch_size=304,
    epochs=5 if smoke else 67,
    callbacks=[read_weights],
    verbose=0,
)
weights = np.array(weights)

"""
## The error of the weights

It is the mean squared difference from the ideal weights. Equal weights, with
which SLAW starts, are off by 3.5.
"""

errors = np.mean((weights - ideal) ** 2, axis=1)
for step in (1, 10, 100, 500, 1_000, 2_000):
    if step <= len(errors):
        print(f"loss weight error at step {step:5,}: {errors[step - 1]:.4f}")

print("task  ideal   SLAW")
for task in range(NUM_TASKS):
    print(f"{task + 1:4d}  {ideal[task]:5.3f}  {weights[-1, task]:5.3f}")

"""
## The picture

Solid lines are SLAW's weights, dashed ones the ideal. In the first steps the
spread of the losses is estimated from a handful of numbers, so the weights jump
about. Where losses fall steeply, around step 100, the fall counts as spread for
a while. Then the weights settle close to the ideal.
"""

figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
steps = np.arange(1, len(weights) + 1)
colours = plt.colormaps["viridis"](np.linspace(0.0, 0.8, NUM_TASKS))
for task, colour in enumerate(colours):
    axes.plot(steps, weights[:, task], color=colour, linewidth=1.2)
    axes.axhline(ideal[task], color=colour, linestyle="--", linewidth=0.8)
    axes.annotate(
        f"task {task + 1}",
        (1.0, ideal[task]),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        color=colour,
        va="center",
        fontsize=8,
    )
axes.set(
    xscale="log",
    yscale="log",
    xlim=(1, len(weights)),
    xlabel="training step",
    ylabel="weight of the task",
    title="SLAW finds the ideal weights (dashed)",
)
figure.savefig("mtregression_slaw.png", dpi=150)
print("saved mtregression_slaw.png")
