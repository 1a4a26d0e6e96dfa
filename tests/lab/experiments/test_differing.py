"""Tasks that are made to differ, and the encoder for many short runs."""

import json

import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.data.support_query import support_query_split
from keras_mtl.lab.comparisons.cells import Cell
from keras_mtl.lab.experiments.differing import differing_tasks
from keras_mtl.lab.experiments.sentiment import SentimentExperiment
from keras_mtl.lab.runs.running import train
from tests.lab.runs.small_run import SmallExperiment

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning"
)


def sets(rows=10_000):
    labels = np.arange(rows, dtype="int32") % 4
    own = {task: (np.arange(rows), labels) for task in "abc"}
    return {"train": own, "validation": own, "test": own}


@pytest.mark.parametrize("noise", [0.0, 0.2, 0.4, 1.0])
def test_labels_are_replaced_with_that_probability(noise):
    whole = sets()
    changed = differing_tasks(whole, ("a", "c"), noise, 1.0, 4, seed=0)
    assert changed["test"] is whole["test"]
    assert changed["validation"] is whole["validation"]
    assert changed["train"]["b"] is whole["train"]["b"]
    wrong = {}
    for task in "ac":
        x, y = changed["train"][task]
        np.testing.assert_array_equal(x, whole["train"][task][0])
        assert y.dtype == "int32"
        wrong[task] = y != whole["train"][task][1]
        # One label of four that are drawn is the right one. Four deviations
        # of a mean of Bernoulli draws.
        expected = 0.75 * noise
        slack = 4 * np.sqrt(expected * (1 - expected) / len(y))
        assert abs(wrong[task].mean() - expected) <= slack
        assert set(y) == {0, 1, 2, 3}
    assert not noise or (wrong["a"] != wrong["c"]).any()
    alone = differing_tasks(whole, ("c",), noise, 1.0, 4, seed=0)["train"]["c"]
    np.testing.assert_array_equal(alone[1], changed["train"]["c"][1])


def test_rows_are_kept_with_their_classes():
    changed = differing_tasks(sets(), ("b",), 0.0, 0.05, 4, seed=1)["train"]
    x, y = changed["b"]
    np.testing.assert_array_equal(np.bincount(y), [125] * 4)
    np.testing.assert_array_equal(y, x % 4)
    assert len(changed["a"][1]) == 10_000


def test_settings_that_came_later_are_not_in_older_configurations():
    config = SmallExperiment().config()
    assert "query" not in config
    assert SmallExperiment(query="rotation").config()["query"] == "rotation"
    plain = SentimentExperiment().config()
    own = {"label_noise": 0.4, "kept_rows": 0.1, "differing": ("dvd",)}
    config = SentimentExperiment(**own).config()
    assert config == {**plain, **own}
    assert not plain.keys() & own.keys()


@pytest.mark.parametrize("query", ["rotation", "validation"])
def test_where_an_experiment_takes_its_query_rows_from(query, tmp_path):
    """All rows train: the losses on which the weights move say so."""
    method = Cell(f"meta_weighting_{query}", 0).settings({})
    assert method["query"] == query
    experiment = SmallExperiment(query=query, query_split=0.25, epochs=2)
    train(experiment, tmp_path / "run", save_seconds=0.0)
    weights = np.load(tmp_path / "run" / "weights.npy")
    # 50 rows, or 50 less a fold of 12 or 13; 8 a batch.
    assert len(weights) == 2 * (7 if query == "validation" else 5)
    assert np.ptp(weights) > 0.0
    parts = experiment.parts()
    if query == "validation":
        split = support_query_split(*parts.train, query_split=0.25)
        assert len(split.support[1]["a"]) < len(parts.train[1]["a"])


WORDS = ["awful", "great", "was", "it"]


@pytest.fixture(scope="module")
def glove(tmp_path_factory):
    path = tmp_path_factory.mktemp("glove") / "two.txt"
    vectors = [(-1.0, 0.5), (1.0, 0.5), (0.0, 1.0), (0.0, -1.0)]
    lines = [
        f"{word} {a} {b}\n" for word, (a, b) in zip(WORDS, vectors, strict=True)
    ]
    path.write_text("".join(lines))
    return path


def test_averages_of_frozen_vectors(archive, glove, tmp_path):
    """Means and deviations over the training texts, by NumPy."""
    experiment = SentimentExperiment(
        data=archive,
        glove=glove,
        encoder="averaged",
        num_tokens=8,
        vocabulary_size=60,
        tasks=("books", "dvd"),
        epochs=3,
        learning_rate=0.05,
        batch_size=8,
    )
    assert experiment.dropout == 0.0
    metrics = train(experiment, tmp_path / "run")
    assert metrics["test_accuracy_by_task"] == {"books": 1.0, "dvd": 1.0}
    # A hidden layer of 64 on 2 numbers, two heads of two classes.
    assert metrics["num_parameters"] == 3 * 64 + 2 * (64 * 2 + 2)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["encoder"] == "averaged"

    parts = experiment.load()
    rows = np.concatenate([*parts.train[0].values()])
    np.testing.assert_allclose(rows.mean(axis=0), 0.0, atol=1e-5)
    # Every text is "DOMAIN n was awful" or great, of which two words count.
    vectors = {"awful": (-0.5, 0.75), "great": (0.5, 0.75)}
    texts = tf.constant(["dvd 7 was great", "was awful", "?!", "it"])
    own = parts.prepared.preprocessing(texts).numpy()
    spread = own[0, 0] - own[1, 0]
    expected = vectors["great"][0] - vectors["awful"][0]
    scale = spread / expected
    both = np.unique(rows.round(4), axis=0)
    assert len(both) == 2
    np.testing.assert_allclose(both[1, 0] - both[0, 0], spread, rtol=1e-3)
    np.testing.assert_allclose(own[2, 0] - own[1, 0], 0.5 * scale, rtol=1e-4)
    served = tf.saved_model.load(tmp_path / "run" / "served")
    shares = served.serve(texts[:2])["books"].numpy()
    assert np.argmax(shares, axis=1).tolist() == [1, 0]
