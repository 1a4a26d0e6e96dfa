"""
Title: Which weighter for reviews of fourteen kinds?
Author: keras_mtl authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: Weighters compared on the sentiment of Amazon reviews.
Accelerator: None
"""

"""
## Introduction

Is a review positive? The words that tell differ between books, cameras and
toys, but not all of them. Here each of 14 domains is a task with reviews of its
own, and all share one encoder. We train the same model with four weighters,
choose the epoch of each on validation reviews, and compare the four on the test
reviews.

One run of each says little: differences of half a percent come from the seed as
well. `keras-mtl compare sentiment --seeds 3` repeats the comparison with all
methods and several seeds, and `keras-mtl report` draws it.

Run this file with `--smoke` for a short version on made-up texts. The reviews
are downloaded, or read from an archive `--data`. With `--glove
glove.6B.50d.txt` the words start as GloVe vectors.
"""

import argparse

import keras
import numpy as np

from keras_mtl import MultiTaskModel
from keras_mtl.lab.datasets import load_sentiment
from keras_mtl.lab.datasets.glove import embedding_matrix, load_glove
from keras_mtl.layers import TextCNN
from keras_mtl.weighters import SLAW, Constant, MetaWeighting, Uncertainty

parser = argparse.ArgumentParser(description="Compares weighters on reviews.")
parser.add_argument("--smoke", action="store_true", help="run for seconds only")
parser.add_argument("--data", help="an archive of the reviews")
parser.add_argument("--glove", help="GloVe vectors, .txt or .npy")
arguments = parser.parse_args()

EPOCHS = 1 if arguments.smoke else 15
NUM_TOKENS = 12 if arguments.smoke else 256

"""
## The reviews

`{"train": {task: (texts, labels)}, "validation": ..., "test": ...}`, labels 1
for a positive review and 0 for a negative one. In the made-up reviews a verdict
hides among words of the domain.
"""


def made_up_reviews(reviews_per_task=32):
    rng = np.random.default_rng(0)
    verdicts = (["awful", "broken", "boring"], ["great", "lovely", "superb"])

    def review(task, label):
        words = [f"{task}{n}" for n in rng.integers(0, 20, 8)]
        words.append(rng.choice(verdicts[label]))
        return " ".join(rng.permutation(words))

    def part(tasks):
        labels = np.arange(reviews_per_task, dtype="int32") % 2
        return {
            task: (np.array([review(task, n) for n in labels], object), labels)
            for task in tasks
        }

    tasks = ("books", "cameras")
    return {name: part(tasks) for name in ("train", "validation", "test")}


if arguments.smoke:
    reviews = made_up_reviews()
else:
    reviews = load_sentiment(arguments.data)
for task, (texts, labels) in reviews["train"].items():
    print(
        f"{task}: {len(texts)} training reviews, {labels.mean():.0%} positive"
    )

"""
## From reviews to numbers

One vocabulary serves all tasks.
"""

vectorize = keras.layers.TextVectorization(
    max_tokens=30_000, output_sequence_length=NUM_TOKENS
)
vectorize.adapt(
    np.concatenate([texts for texts, _ in reviews["train"].values()]).astype(
        str
    )
)
vocabulary = vectorize.get_vocabulary()
embeddings = None
if arguments.glove:
    embeddings, known = embedding_matrix(
        vocabulary, load_glove(arguments.glove)
    )
    print(f"GloVe knows {known:.0%} of the vocabulary.")


def as_arrays(part):
    x = {
        task: vectorize(texts.astype(str)).numpy().astype("int32")
        for task, (texts, _) in part.items()
    }
    return x, {task: labels for task, (_, labels) in part.items()}


x_train, y_train = as_arrays(reviews["train"])
validation_data = as_arrays(reviews["validation"])
x_test, y_test = as_arrays(reviews["test"])

"""
## One model for each weighter

All start from the same parameters. The callback keeps the parameters of the
epoch with the lowest validation loss, which counts every task alike.
`MetaWeighting` sets a tenth of the training reviews aside as query rows.
"""


def trained(weighter):
    keras.utils.set_random_seed(0)
    tokens = keras.Input((NUM_TOKENS,), dtype="int32")
    text_cnn = TextCNN(
        vocabulary_size=len(vocabulary),
        embedding_dim=50 if embeddings is None else embeddings.shape[1],
        num_filters=8 if arguments.smoke else 100,
        embeddings=embeddings,
    )
    model = MultiTaskModel(
        encoder=keras.Model(tokens, text_cnn(tokens)),
        heads={
            task: keras.layers.Dense(2, activation="softmax")
            for task in x_train
        },
    )
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        weighter=weighter,
        jit_compile=False,
    )
    bilevel = isinstance(weighter, MetaWeighting)
    model.fit(
        x_train,
        y_train,
        validation_data=validation_data,
        batch_size=8 if arguments.smoke else 32,
        epochs=EPOCHS,
        verbose=0,
        callbacks=[
            keras.callbacks.EarlyStopping(
                patience=EPOCHS, restore_best_weights=True
            )
        ],
        **({"query_split": 0.1} if bilevel else {}),
    )
    return model


accuracies = {}
compared = [Constant(), Uncertainty(), SLAW(), MetaWeighting()]
if arguments.smoke:
    compared = [Constant(), MetaWeighting()]
for weighter in compared:
    model = trained(weighter)
    results = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    name = type(weighter).__name__
    accuracies[name] = [results[f"{task}_accuracy"] for task in x_test]
    print(f"{name}: mean test accuracy {np.mean(accuracies[name]):.3f}")

"""
## The results

`Constant` is the uniform sum of losses, which the others have to beat.
"""

print("task".ljust(22) + "".join(name.rjust(15) for name in accuracies))
for index, task in enumerate(x_test):
    row = [f"{values[index]:15.3f}" for values in accuracies.values()]
    print(task.ljust(22) + "".join(row))
