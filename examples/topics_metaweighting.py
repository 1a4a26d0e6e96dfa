"""
Title: Weights learned from held-out texts
Author: keras_mtl authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: Four text tasks with texts of their own, weighted by MetaWeighting.
Accelerator: None
"""

"""
## Introduction

Sixteen newsgroups form four tasks: tell four groups on computers apart, four on
recreation, four on science, and four on politics and religion. Each task has
its own texts, but all share one encoder.

MetaWeighting (Mao et al., 2022) asks how each task's training loss changes the
losses on held-out texts, the *query* set, and moves the weights so that all of
these fall. It balances what the tasks are like on new texts rather than on
those that the model has learned already.

Run this file with `--smoke` for a short version on made-up texts. The real ones
are downloaded, or read from `--data 20news-bydate.tar.gz`. With `--glove
glove.6B.50d.txt` the words start as GloVe vectors.
"""

import argparse

import keras
import numpy as np

from keras_mtl import MultiTaskModel
from keras_mtl.lab.datasets import load_topics
from keras_mtl.lab.datasets.glove import embedding_matrix, load_glove
from keras_mtl.layers import TextCNN
from keras_mtl.weighters import MetaWeighting

parser = argparse.ArgumentParser(description="Weights from held-out texts.")
parser.add_argument("--smoke", action="store_true", help="run for seconds only")
parser.add_argument("--data", help="the 20news-bydate archive")
parser.add_argument("--glove", help="GloVe vectors, .txt or .npy")
arguments = parser.parse_args()

keras.utils.set_random_seed(0)

"""
## The texts

`{"train": {task: (texts, labels)}, "validation": ..., "test": ...}`. The
made-up texts consist of random words, some of which only occur in one class.
"""


def made_up_topics(texts_per_task=64):
    rng = np.random.default_rng(0)

    def texts_of(task, labels):
        own = [[f"{task}{label}{n}" for n in range(5)] for label in labels]
        common = [f"word{n}" for n in range(100)]
        words = [
            list(rng.choice(o, 4)) + list(rng.choice(common, 12)) for o in own
        ]
        return np.array([" ".join(rng.permutation(w)) for w in words], object)

    tasks = ("comp", "rec")
    labels = np.arange(texts_per_task, dtype="int32") % 4
    return {
        part: {task: (texts_of(task, labels), labels) for task in tasks}
        for part in ("train", "validation", "test")
    }


topics = made_up_topics() if arguments.smoke else load_topics(arguments.data)
for task, (texts, labels) in topics["train"].items():
    print(f"{task}: {len(texts)} training texts, labels {np.unique(labels)}")

"""
## From texts to numbers

The inputs become dicts by task as well. The tasks may have different numbers of
texts: a batch holds 64 of each, and shorter tasks start again.
"""

vectorize = keras.layers.TextVectorization(
    max_tokens=30_000, output_sequence_length=16 if arguments.smoke else 256
)
vectorize.adapt(
    np.concatenate([texts for texts, _ in topics["train"].values()]).astype(str)
)


def as_arrays(part):
    x = {
        task: vectorize(texts.astype(str)).numpy().astype("int32")
        for task, (texts, _) in part.items()
    }
    return x, {task: labels for task, (_, labels) in part.items()}


x_train, y_train = as_arrays(topics["train"])
x_validation, y_validation = as_arrays(topics["validation"])
x_test, y_test = as_arrays(topics["test"])

"""
## The model

A `TextCNN` looks for short runs of words; each head is one dense layer.
"""

vocabulary = vectorize.get_vocabulary()
embeddings = None
if arguments.glove:
    embeddings, known = embedding_matrix(
        vocabulary, load_glove(arguments.glove)
    )
    print(f"GloVe knows {known:.0%} of the vocabulary.")

tokens = keras.Input((x_train["comp"].shape[1],), dtype="int32")
text_cnn = TextCNN(
    vocabulary_size=len(vocabulary),
    embedding_dim=50 if embeddings is None else embeddings.shape[1],
    num_filters=8 if arguments.smoke else 100,
    embeddings=embeddings,
)
model = MultiTaskModel(
    encoder=keras.Model(tokens, text_cnn(tokens)),
    heads={
        task: keras.layers.Dense(4, activation="softmax") for task in x_train
    },
)

"""
## Training

`query_split=0.1` sets a tenth of each task's training texts aside. The model
does not train on them; the weights are learned from them. The learned weights
are free: they need not sum to the number of tasks.
"""

model.compile(
    optimizer=keras.optimizers.Adam(1e-3),
    loss="sparse_categorical_crossentropy",
    metrics=["accuracy"],
    weighter=MetaWeighting(step_size=0.5),
)
history = model.fit(
    x_train,
    y_train,
    query_split=0.1,
    validation_data=(x_validation, y_validation),
    batch_size=16 if arguments.smoke else 64,
    epochs=2 if arguments.smoke else 25,
    verbose=0,
    callbacks=[
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: print(
                f"epoch {epoch + 1}: loss {logs['loss']:.3f}, "
                f"validation loss {logs['val_loss']:.3f}"
            )
        )
    ],
).history

"""
## The results

History holds the weights' means over each epoch.
"""

results = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
print("task  first weight  last weight  test accuracy")
for task in model.task_names:
    weights = history[f"{task}_weight"]
    accuracy = results[f"{task}_accuracy"]
    print(
        f"{task:4s}  {weights[0]:12.4f}  {weights[-1]:11.4f}  {accuracy:13.3f}"
    )

accuracies = [results[f"{task}_accuracy"] for task in model.task_names]
print(f"mean test accuracy: {np.mean(accuracies):.3f}")
