"""Texts of many domains, each with a question of its own."""

import keras
import numpy as np

from keras_mtl.lab.benchmarks.workloads.workload import binary
from keras_mtl.layers import TextCNN


def text_cnn(
    num_tasks=14,
    batch_size=16,
    jit_compile="auto",
    num_words=100,
    **encoder,
):
    """Returns a workload shaped like product reviews, with separate inputs.

    Args:
        num_tasks: Integer, K, product categories.
        batch_size: Integer, texts of each task.
        jit_compile: Boolean or `"auto"`.
        num_words: Integer, words of a text.
        **encoder: Arguments of `TextCNN`.
    """
    encoder = {"vocabulary_size": 20_000, "embedding_dim": 50, **encoder}
    words = keras.Input((num_words,), dtype="int32", name="words")
    model = keras.Model(words, TextCNN(**encoder)(words))
    rng = np.random.default_rng(0)
    shape = (batch_size, num_words)
    x = {
        f"domain_{index}": rng.integers(
            1, encoder["vocabulary_size"], shape, "int32"
        )
        for index in range(num_tasks)
    }
    return binary("text_cnn", model, x, list(x), jit_compile)
