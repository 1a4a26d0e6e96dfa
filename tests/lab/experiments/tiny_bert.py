"""A BERT of a few words, with random weights."""

import keras
import pytest

keras_hub = pytest.importorskip("keras_hub")

VOCABULARY = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *("un", "##aff", "##able", "##a", "cafe", "a", "the", ".", ",", "語"),
]


def save_bert(folder):
    """Writes its preset."""
    keras.utils.set_random_seed(0)
    keras_hub.models.BertTokenizer(VOCABULARY, lowercase=True).save_to_preset(
        folder
    )
    keras_hub.models.BertBackbone(
        vocabulary_size=len(VOCABULARY),
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=32,
    ).save_to_preset(folder)
