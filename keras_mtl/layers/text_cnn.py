"""Convolutions over words, for classifying texts."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_mtl.checks import between, integer


@keras.saving.register_keras_serializable(package="keras_mtl")
class TextCNN(keras.layers.Layer):
    """Encodes texts by the strongest match of each filter on their words.

    Padding has no effect: a text gives the same output with more zeros at its
    end, and a text of zeros only gives zeros.

    Example:

    >>> encoder = TextCNN(vocabulary_size=20_000, embedding_dim=50)
    >>> encoder(np.array([[5, 17, 4, 0, 0]])).shape
    (1, 300)

    Args:
        vocabulary_size: Integer, number of token ids, padding included.
        embedding_dim: Integer, length of a word's vector.
        num_filters: Integer, filters of each kernel size.
        kernel_sizes: Tuple of integers, the lengths of filters in words.
        dropout: Float in [0, 1), share of outputs dropped while training.
        embeddings: `(vocabulary_size, embedding_dim)` array to start from, as
            `keras_mtl.lab.datasets.glove.embedding_matrix` makes it. By default
            the words start at random. Not part of the config: a saved layer
            holds its vectors as weights.
        trainable_embeddings: Boolean, whether training moves word vectors.

    Call arguments:
        inputs: `(B, T)` integers, token ids; 0 is padding.
        training: Boolean, whether to drop outputs.

    Returns:
        `(B, num_filters * len(kernel_sizes))` float.

    Raises:
        ValueError: If an argument is out of range, or `embeddings` has
            another shape.

    Reference:
        - [Kim, 2014](https://aclanthology.org/D14-1181)
    """

    def __init__(
        self,
        vocabulary_size: int,
        embedding_dim: int,
        num_filters: int = 100,
        kernel_sizes: Sequence[int] = (3, 5, 7),
        dropout: float = 0.5,
        embeddings: Any = None,
        trainable_embeddings: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vocabulary_size = integer("vocabulary_size", vocabulary_size, 1)
        self.embedding_dim = integer("embedding_dim", embedding_dim, 1)
        self.num_filters = integer("num_filters", num_filters, 1)
        self.kernel_sizes = tuple(
            integer("kernel_sizes", size, 1) for size in kernel_sizes
        )
        self.dropout = between("dropout", dropout, 0.0, 1.0)
        self.trainable_embeddings = bool(trainable_embeddings)
        self._embed = keras.layers.Embedding(
            vocabulary_size,
            embedding_dim,
            weights=self._checked(embeddings),
            trainable=self.trainable_embeddings,
            dtype=self.dtype_policy,
            name="embedding",
        )
        self._convolutions = [
            keras.layers.Conv1D(
                num_filters,
                size,
                padding="same",
                dtype=self.dtype_policy,
                name=f"words_{size}",
            )
            for size in self.kernel_sizes
        ]
        self._drop = keras.layers.Dropout(
            self.dropout, dtype=self.dtype_policy, name="dropout"
        )

    def build(self, inputs_shape):
        """Creates the word vectors and the filters."""
        self._embed.build(inputs_shape)
        for convolution in self._convolutions:
            convolution.build((*inputs_shape, self.embedding_dim))

    def call(self, inputs, training=None):
        """Returns the texts' encodings."""
        words: Any = ops.not_equal(inputs, 0)
        present = words[..., None]
        vectors = self._embed(inputs)
        vectors = vectors * ops.cast(present, vectors.dtype)
        # Where a filter is centred on padding only its bias would show.
        least = ops.cast(ops.where(present, 0.0, -float("inf")), vectors.dtype)
        centres = [
            # Keras' argmax passes over its input several times, and its add may
            # take what it adds for biases of another axis.
            tf.argmax(
                tf.add(
                    ops.conv(vectors, convolution.kernel, padding="same"), least
                ),
                axis=1,
                output_type="int32",
            )
            for convolution in self._convolutions
        ]
        encoding: Any = ops.concatenate(self._matches(vectors, centres), -1)
        # Without a word there is no match.
        encoding *= ops.cast(ops.any(present, axis=1), encoding.dtype)
        return self._drop(encoding, training=training)

    def _matches(self, vectors, centres):
        """Returns the filters' outputs at their centres, by kernel size.

        Gradients flow through these few words alone, which spares a backward
        pass over all positions.

        Args:
            vectors: `(B, T, embedding_dim)`.
            centres: List of `(B, num_filters)` int32 positions.
        """
        margin = max(self.kernel_sizes)
        vectors = ops.pad(vectors, ((0, 0), (margin, margin), (0, 0)))
        matches = []
        for size, centre, convolution in zip(
            self.kernel_sizes, centres, self._convolutions, strict=True
        ):
            start = centre + margin - (size - 1) // 2
            positions = tf.add(start[..., None], ops.arange(size))
            words = tf.gather(vectors, positions, batch_dims=1)
            length = size * self.embedding_dim
            words = ops.reshape(words, (-1, self.num_filters, length))
            filters = ops.transpose(convolution.kernel, (2, 0, 1))
            filters = ops.reshape(filters, (self.num_filters, length))
            match = ops.sum(ops.multiply(words, filters), axis=-1)
            matches.append(ops.relu(ops.add(match, convolution.bias)))
        return matches

    def compute_output_shape(self, inputs_shape):
        """Returns `(B, num_filters * len(kernel_sizes))`."""
        return (inputs_shape[0], self.num_filters * len(self.kernel_sizes))

    def get_config(self):
        """Returns the arguments to make this layer again."""
        own = {
            "vocabulary_size": self.vocabulary_size,
            "embedding_dim": self.embedding_dim,
            "num_filters": self.num_filters,
            "kernel_sizes": list(self.kernel_sizes),
            "dropout": self.dropout,
            "trainable_embeddings": self.trainable_embeddings,
        }
        return {**super().get_config(), **own}

    def _checked(self, embeddings):
        if embeddings is None:
            return None
        expected = (self.vocabulary_size, self.embedding_dim)
        if np.shape(embeddings) != expected:
            raise ValueError(
                "Argument `embeddings` must have the shape (vocabulary_size, "
                f"embedding_dim) = {expected}. Received: shape="
                f"{np.shape(embeddings)}"
            )
        return [np.asarray(embeddings)]
