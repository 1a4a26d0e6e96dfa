"""A tiny BERT is trained on separate texts, saved and served."""

import json
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.lab.experiments.bert import bert_recipe
from tests import warm
from tests.lab.experiments.tiny_bert import save_bert

TASKS = ("comp", "rec")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    save_bert(folder)
    return bert_recipe(["the zebra"], preset=folder, num_tokens=12)


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


@pytest.mark.parametrize("weighter", ["uniform", "meta_weighting"])
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
    model.export(
        tmp_path / "served", preprocessing=recipe.preprocessing, verbose=False
    )
    model.save(tmp_path / "model.keras")
    script = """
        import json, sys
        absent = dict.fromkeys(("keras_hub", "keras_mtl"))
        sys.modules.update(absent)
        import tensorflow as tf, tensorflow_text
        served = tf.saved_model.load(sys.argv[1] + "/served")
        texts = tf.constant(["The unaffable café.", "", "zebra " * 2_000])
        print(json.dumps(served.serve(texts)["rec"].numpy().tolist()))
        for name in absent:
            del sys.modules[name]
        import keras, keras_mtl
        model = keras.saving.load_model(sys.argv[1] + "/model.keras")
        print(json.dumps([float(keras.ops.sum(abs(w))) for w in model.weights]))
    """
    done = warm.run("-c", textwrap.dedent(script), tmp_path)
    assert not done.returncode, done.stderr
    served, sums = map(json.loads, done.stdout.splitlines())
    expected = model(recipe.preprocessing(tf.constant(texts)))["rec"]
    np.testing.assert_allclose(served, expected, rtol=1e-5)
    own = [float(keras.ops.sum(keras.ops.abs(w))) for w in model.weights]
    np.testing.assert_allclose(sums, own, rtol=1e-6)
    assert served[0] != served[1]
