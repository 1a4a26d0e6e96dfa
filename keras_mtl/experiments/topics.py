"""Topics: four groups of newsgroups, each with texts of its own."""

import dataclasses
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.datasets.glove import embedding_matrix, load_glove
from keras_mtl.datasets.topics import load_topics
from keras_mtl.experiments.classification import ClassificationExperiment
from keras_mtl.experiments.experiment import Parts, existing
from keras_mtl.layers import TextCNN

NUM_CLASSES = 4
# Length of the words' vectors where no file gives them.
EMBEDDING_DIM = 50


@dataclasses.dataclass(frozen=True, kw_only=True)
class TopicsExperiment(ClassificationExperiment):
    """Section 6 of Mao et al., 2022, with TextCNN and GloVe.

    Args:
        data: Path of the `20news-bydate` archive; downloaded without it.
        glove: Path of GloVe vectors; without it words start at random.
        num_tokens: Integer, words of a post that are read.
        vocabulary_size: Integer, most frequent words that are kept.
        dropout: Float in [0, 1).
        **kwargs: As in `Experiment`. A batch has `batch_size` rows of each of
            the four tasks.
    """

    name = "topics"
    separate = True
    # XLA's convolutions are the slower ones on CPUs.
    jit_compile = False
    weighter_defaults: ClassVar[dict] = {"meta_weighting": {"step_size": 0.5}}

    epochs: int = 25
    batch_size: int = 64
    data: Path | None = None
    glove: Path | None = None
    num_tokens: int = 256
    vocabulary_size: int = 30_000
    dropout: float = 0.5

    def __post_init__(self):
        super().__post_init__()
        for name in ("data", "glove"):
            path = existing(name, getattr(self, name))
            object.__setattr__(self, name, path)

    def load(self):
        """Reads the posts, split at random, and turns words into ids."""
        archive = None if self.data is None else str(self.data)
        sets = load_topics(archive, seed=self.seed)
        vectorizer = keras.layers.TextVectorization(
            self.vocabulary_size,
            standardize=words_only,
            output_sequence_length=self.num_tokens,
        )
        texts = [text for texts, _ in sets["train"].values() for text in texts]
        dataset = tf.data.Dataset.from_tensor_slices(texts)
        vectorizer.adapt(dataset.batch(1_024))
        parts = {
            name: (
                {
                    task: _ids(vectorizer, texts)
                    for task, (texts, _) in s.items()
                },
                {task: labels for task, (_, labels) in s.items()},
            )
            for name, s in sets.items()
        }
        vocabulary = vectorizer.get_vocabulary()
        matrix, facts = self._embeddings(vocabulary, parts["train"][0])
        return Parts(
            **parts,
            facts=facts,
            files={"vocabulary.txt": "\n".join(vocabulary) + "\n"},
            prepared=(len(vocabulary), matrix),
        )

    def _embeddings(self, vocabulary, train):
        facts = {"vocabulary_size": len(vocabulary)}
        if self.glove is None:
            return None, facts
        ids = np.concatenate([tokens.ravel() for tokens in train.values()])
        matrix, known = embedding_matrix(
            vocabulary,
            load_glove(self.glove),
            self.seed,
            counts=np.bincount(ids, minlength=len(vocabulary)),
        )
        return matrix, {**facts, "tokens_known_to_glove": known}

    def build(self, parts):
        """Returns a TextCNN and a softmax head for each task."""
        size, matrix = parts.prepared
        encoder = TextCNN(
            size,
            EMBEDDING_DIM if matrix is None else matrix.shape[1],
            dropout=self.dropout,
            embeddings=matrix,
            name="encoder",
        )
        inputs = keras.Input((self.num_tokens,), dtype="int32", name="tokens")
        heads = {
            task: keras.layers.Dense(NUM_CLASSES, "softmax", name=task)
            for task in parts.train[1]
        }
        return MultiTaskModel(keras.Model(inputs, encoder(inputs)), heads)


def words_only(texts):
    """Returns texts in lower case, other than letters and digits as spaces."""
    return tf.strings.regex_replace(tf.strings.lower(texts), r"[^a-z0-9]+", " ")


def _ids(vectorizer, texts):
    return vectorizer(tf.constant(texts.tolist())).numpy().astype("int32")
