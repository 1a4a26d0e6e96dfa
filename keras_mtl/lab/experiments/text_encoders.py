"""How texts become representations: what belongs to each kind of encoder."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_mtl.lab.datasets.glove import embedding_matrix, load_glove
from keras_mtl.layers import TextCNN

# Padding, words that are not known, and one word.
FEWEST_WORDS = 3
# Length of the words' vectors where no file gives them.
EMBEDDING_DIM = 50
# Texts that are encoded at a time.
TEXTS_AT_ONCE = 1_024


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
    vectorizer, vocabulary = _words(texts, num_tokens, vocabulary_size)
    facts = {"vocabulary_size": len(vocabulary)}
    matrix = None
    if glove is not None:
        ids = encoded(vectorizer, texts)
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

    return TextRecipe(vectorizer, make_encoder, facts, _files(vocabulary))


def averaged_recipe(
    texts,
    glove,
    num_tokens=256,
    vocabulary_size=30_000,
    hidden_units=64,
    dropout=0.0,
):
    """Returns the recipe of a hidden layer on averages of frozen GloVe vectors.

    What is frozen is computed once, with the texts: a step takes a millisecond.

    Args:
        texts: List of strings, the training texts.
        glove: String, what `load_glove` takes.
        num_tokens: As in `text_cnn_recipe`.
        vocabulary_size: As in `text_cnn_recipe`.
        hidden_units: Integer, of the hidden layer.
        dropout: Float in [0, 1), share of hidden units dropped while training.

    Returns:
        `TextRecipe`, whose `preprocessing` gives `(B, d)` floats.
    """
    vectorizer, vocabulary = _words(texts, num_tokens, vocabulary_size)
    loaded = load_glove(glove)
    known = {*loaded.words}
    matrix, _ = embedding_matrix(vocabulary, loaded)
    counted = np.array([word in known for word in vocabulary], "float32")
    average = AveragedWords(vectorizer, matrix, counted)
    average.standardize(encoded(average, texts))

    def make_encoder():
        inputs = keras.Input((matrix.shape[1],), name="average")
        hidden = keras.layers.Dense(hidden_units, "relu", name="hidden")
        outputs = keras.layers.Dropout(dropout)(hidden(inputs))
        return keras.Model(inputs, outputs, name="encoder")

    facts = {"vocabulary_size": len(vocabulary)}
    return TextRecipe(average, make_encoder, facts, _files(vocabulary))


class AveragedWords(keras.layers.Layer):
    """Turns texts into the means of their words' vectors.

    Args:
        vectorizer: `keras.layers.TextVectorization`.
        vectors: `(V, d)` array, of the words of its vocabulary.
        counted: `(V,)` array, 1 for a word that counts and 0 for others.

    Call arguments:
        inputs: `(B,)` strings.

    Returns:
        `(B, d)` float32; of a text without a word that counts, the mean of no
        words, 0 before it is standardised.
    """

    def __init__(self, vectorizer, vectors, counted, **kwargs):
        super().__init__(**kwargs)
        self._vectorizer = vectorizer
        self._vectors = tf.constant(vectors * counted[:, None])
        self._counted = tf.constant(counted)
        width = vectors.shape[1]
        self._mean, self._scale = tf.zeros(width), tf.ones(width)

    def standardize(self, averages):
        """Makes the means 0 and the deviations 1 of `(n, d)` averages."""
        self._mean = tf.constant(averages.mean(axis=0))
        self._scale = tf.constant(1.0 / (averages.std(axis=0) + 1e-6))

    def call(self, inputs):
        """Returns the texts' averages."""
        ids = self._vectorizer(inputs)
        total = tf.reduce_sum(tf.gather(self._vectors, ids), axis=1)
        number = tf.reduce_sum(tf.gather(self._counted, ids), axis=1)
        average = total / tf.maximum(number, 1.0)[:, None]
        return (average - self._mean) * self._scale


def words_only(texts):
    """Returns texts in lower case, other than letters and digits as spaces."""
    return tf.strings.regex_replace(tf.strings.lower(texts), r"[^a-z0-9]+", " ")


def encoded(preprocessing, texts):
    """Returns what the layer makes of a list of strings, as arrays.

    Integers are int32.
    """
    starts = range(0, len(texts), TEXTS_AT_ONCE)
    chunks = [texts[start : start + TEXTS_AT_ONCE] for start in starts]
    parts = [
        keras.tree.map_structure(_array, preprocessing(tf.constant(chunk)))
        for chunk in chunks
    ]
    return keras.tree.map_structure(lambda *p: np.concatenate(p), *parts)


def _array(tensor):
    values = tensor.numpy()
    return values.astype("int32") if values.dtype.kind in "biu" else values


def _words(texts, num_tokens, vocabulary_size):
    """Returns the layer from strings to token ids, and its vocabulary."""
    vectorizer = keras.layers.TextVectorization(
        vocabulary_size,
        standardize=words_only,
        output_sequence_length=num_tokens,
    )
    vectorizer.adapt(tf.data.Dataset.from_tensor_slices(texts).batch(1_024))
    return vectorizer, vectorizer.get_vocabulary()


def _files(vocabulary):
    return {"vocabulary.txt": "\n".join(vocabulary) + "\n"}
