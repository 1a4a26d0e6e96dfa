"""
Title: Three tasks in one model
Author: keras_mtl authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: Train one model for three tasks, with weights learned on the way.
Accelerator: None
"""

"""
## Introduction

Two handwritten digits overlap in one small picture. One model shall read the
left digit, read the right digit, and tell whether their sum is even: three
tasks that share all layers but the last.

Each task has its own loss. Adding the losses up means choosing weights, and a
poor choice lets one task drown the others. A *weighter* chooses them while the
model trains.

Run this file with `--smoke` for a short version.
"""

import argparse

import keras

from keras_mtl import MultiTaskModel
from keras_mtl.lab.datasets import overlaid_digits

parser = argparse.ArgumentParser(description="Three tasks in one model.")
parser.add_argument("--smoke", action="store_true", help="run for seconds only")
smoke = parser.parse_args().smoke

keras.utils.set_random_seed(0)

"""
## The data

The digits come with scikit-learn, so nothing is downloaded. The labels are a
dict: one entry per task.
"""

(x_train, y_train), (x_test, y_test) = overlaid_digits(200 if smoke else 5_000)
print("pictures:", x_train.shape)
print("labels:", {task: labels.shape for task, labels in y_train.items()})

"""
## The model

A `MultiTaskModel` consists of an *encoder*, which all tasks share, and a *head*
for each task. Both are ordinary Keras layers or models.
"""

inputs = keras.Input(x_train.shape[1:], name="picture")
hidden = keras.layers.Flatten()(inputs)
hidden = keras.layers.Dense(256, activation="relu")(hidden)
hidden = keras.layers.Dense(128, activation="relu")(hidden)
encoder = keras.Model(inputs, hidden)

model = MultiTaskModel(
    encoder,
    heads={
        "left": keras.layers.Dense(10, activation="softmax"),
        "right": keras.layers.Dense(10, activation="softmax"),
        "even_sum": keras.layers.Dense(1, activation="sigmoid"),
    },
)

"""
## Training

Losses and metrics are dicts by task, too. `weighter="slaw"` gives more weight
to tasks whose losses vary little, so that all tasks pull about equally hard.
`keras-mtl list` shows all weighters.
"""

model.compile(
    optimizer=keras.optimizers.Adam(1e-3),
    loss={
        "left": "sparse_categorical_crossentropy",
        "right": "sparse_categorical_crossentropy",
        "even_sum": "binary_crossentropy",
    },
    metrics={
        "left": ["accuracy"],
        "right": ["accuracy"],
        "even_sum": ["accuracy"],
    },
    weighter="slaw",
)
model.fit(
    x_train,
    y_train,
    validation_split=0.1,
    batch_size=64,
    epochs=1 if smoke else 20,
    verbose=2,
)

"""
## The results

The weights sum to the number of tasks.
"""

print("weights:", {t: round(w, 2) for t, w in model.task_weights.items()})
results = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
for task in model.task_names:
    print(f"test accuracy of {task}: {results[f'{task}_accuracy']:.3f}")

"""
## Another weighter

A weighter can also be given to `fit`. This one learns the weights from rows
that it does not train on, which `query_split` sets aside.
"""

model.fit(
    x_train,
    y_train,
    weighter="meta_weighting",
    query_split=0.1,
    batch_size=64,
    epochs=1 if smoke else 5,
    verbose=2,
)
print("weights:", {t: round(w, 2) for t, w in model.task_weights.items()})

"""
## Saving

A `.keras` file holds everything, the weighter and its state included: loaded
again, training goes on where it stopped. `export` writes a SavedModel for
serving, which needs TensorFlow alone.
"""

model.save("quickstart.keras")
model.export("quickstart_savedmodel", verbose=False)

same_model = keras.saving.load_model("quickstart.keras")
print("weights:", {t: round(w, 2) for t, w in same_model.task_weights.items()})
