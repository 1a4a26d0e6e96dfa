"""How texts become representations: what belongs to each kind of encoder."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.datasets.glove import embedding_matrix, load_glove
from keras_mtl.layers import TextCNN

# Padding, words that are not known, and one word.
FEWEST_WORDS = 3
# Length of the words' vectors where no file gives them.
EMBEDDING_DIM = 50


class TextRecipe(NamedTuple):
    """What an encoder of texts consists of.

    Attributes:
        preprocessing: Keras layer, `(B,)` strings to token ids, a structure of
            `(B, T)` integers.
        make_encoder: Function without arguments that returns a new Keras model
            from token ids to `(B, D)`.
        facts: Dict of what is known of the texts, for `metrics.json`.
        files: Dict from file name to text that belongs to the model.
    """

    preprocessing: keras.layers.Layer
    make_encoder: Callable[[], keras.Model]
    facts: dict
    files: dict


def text_cnn_recipe(
    texts,
    glove=None,
    num_tokens=256,
    vocabulary_size=30_000,
    dropout=0.5,
    seed=0,
):
    """Returns the recipe of a TextCNN on the words of the training texts.

    Args:
        texts: List of strings, the training texts.
        glove: String, what `load_glove` takes; without it, the words start at
            random.
        num_tokens: Integer, words of a text that are read.
        vocabulary_size: Integer, at least 3, most frequent words that are
            kept, padding and the unknown word included.
        dropout: Float in [0, 1).
        seed: Integer, of the vectors of words that GloVe does not know.

    Returns:
        `TextRecipe`. With GloVe, its facts have the share of the words read
        that it does not know.
    """
    vectorizer = keras.layers.TextVectorization(
        vocabulary_size,
        standardize=words_only,
        output_sequence_length=num_tokens,
    )
    vectorizer.adapt(tf.data.Dataset.from_tensor_slices(texts).batch(1_024))
    vocabulary = vectorizer.get_vocabulary()
    facts = {"vocabulary_size": len(vocabulary)}
    matrix = None
    if glove is not None:
        ids = token_ids(vectorizer, texts)
        matrix, known = embedding_matrix(
            vocabulary,
            load_glove(glove),
            seed,
            counts=np.bincount(ids.ravel(), minlength=len(vocabulary)),
        )
        facts["unknown_word_share"] = 1.0 - known

    def make_encoder():
        encoder = TextCNN(
            len(vocabulary),
            EMBEDDING_DIM if matrix is None else matrix.shape[1],
            dropout=dropout,
            embeddings=matrix,
            name="encoder",
        )
        inputs = keras.Input((num_tokens,), dtype="int32", name="tokens")
        return keras.Model(inputs, encoder(inputs))

    files = {"vocabulary.txt": "\n".join(vocabulary) + "\n"}
    return TextRecipe(vectorizer, make_encoder, facts, files)


def words_only(texts):
    """Returns texts in lower case, other than letters and digits as spaces."""
    return tf.strings.regex_replace(tf.strings.lower(texts), r"[^a-z0-9]+", " ")


def token_ids(preprocessing, texts):
    """Returns what the layer makes of a list of strings, as int32 arrays."""
    return keras.tree.map_structure(
        lambda ids: ids.numpy().astype("int32"),
        preprocessing(tf.constant(texts)),
    )
