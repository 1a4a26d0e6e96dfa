"""
Title: A recommender's model of two tasks, from raw columns
Author: keras_mtl authors
Date created: 2026/11/28
Last modified: 2026/11/28
Description: MMoE on Census-Income (KDD), trained, read and served.
Accelerator: None
"""

"""
Census-Income is the public table of the papers of MMoE and PLE: does a person
earn more than 50,000 dollars, and was the person never married? `pip install
"keras-mtl[census]"` brings it; `--smoke` runs on rows that are made up.
"""

import sys

import keras
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.architectures import MMoE
from keras_mtl.data.columns import make_columns, preprocessed
from keras_mtl.lab.datasets.census import load_census, made_up_census

sets = made_up_census() if "--smoke" in sys.argv else load_census()

"""
Strings become numbers of categories, and numbers are scaled, by Keras' layers
in a model of their own. It runs once over the table, not in each epoch.
"""

columns = make_columns(sets["train"][0])
train, validation, test = (
    (preprocessed(columns.preprocessing, x), y) for x, y in sets.values()
)

"""
Eight experts read the columns as zeros and ones, and a gate of each task mixes
them. AUC is computed in each epoch, for the labels there are.
"""

tasks = ["income", "marital"]
expert = keras.layers.Dense(16, activation="relu")
encoder = MMoE(expert=expert, num_experts=8, bottom=columns.wide())
heads = {task: keras.layers.Dense(1, "sigmoid", name=task) for task in tasks}
model = MultiTaskModel(encoder, heads)
model.compile(
    keras.optimizers.Adam(1e-3),
    loss="binary_crossentropy",
    metrics={task: [keras.metrics.AUC(1_000, name="auc")] for task in tasks},
    weighter="uncertainty",
)
model.fit(
    *train, validation_data=validation, batch_size=1_024, epochs=3, verbose=2
)
print(model.evaluate(*test, batch_size=8_192, verbose=0, return_dict=True))

"""
How much does each expert count for each task?
"""

some = {name: values[:1_000] for name, values in test[0].items()}
for task, weights in encoder.gate_weights(some).items():
    print(task, keras.ops.mean(weights, axis=0).numpy().round(2))

"""
The exported model has the preprocessing inside: it takes raw columns.
"""

model.export("served", preprocessing=columns.preprocessing, verbose=False)
served = tf.saved_model.load("served").signatures["serving_default"]
person = {name: tf.constant(v[:1]) for name, v in sets["test"][0].items()}
print({task: float(p[0, 0]) for task, p in served(**person).items()})
