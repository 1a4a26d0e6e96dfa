import hashlib
import io
import json
import tarfile

import numpy as np
import pytest

from keras_mtl.lab.datasets.newsgroups import TASK_GROUPS
from keras_mtl.lab.experiments.text_encoders import words_only
from keras_mtl.lab.experiments.topics import TopicsExperiment
from keras_mtl.lab.runs.running import train

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("topics")
    groups = [group for names in TASK_GROUPS.values() for group in names]
    with tarfile.open(folder / "20news.tar", "w") as archive:
        for split in ("train", "test"):
            for group in groups:
                for number in range(5):
                    # The name of the group gives the topic away.
                    text = f"From: a@b.c\n\n{group} word{number} the end\n"
                    member = tarfile.TarInfo(
                        f"20news-bydate-{split}/{group}/{number}"
                    )
                    member.size = len(text)
                    archive.addfile(member, io.BytesIO(text.encode()))
    (folder / "glove.txt").write_text("the 1 2 3\nend 4 5 6\nsci 7 8 9\n")
    return {"data": folder / "20news.tar", "glove": folder / "glove.txt"}


def small(files, **settings):
    return TopicsExperiment(
        **files, num_tokens=12, vocabulary_size=60, batch_size=4, **settings
    )


def test_words_become_ids_and_vectors(files):
    parts = small(files).load()
    x, y = parts.train
    assert list(x) == list(y) == ["comp", "rec", "sci", "talk"]
    assert x["sci"].shape == (24, 12)
    assert x["sci"].dtype == np.int32
    vocabulary = parts.files["vocabulary.txt"].split("\n")
    row = vocabulary.index("sci")
    assert np.all(np.any(x["sci"] == row, axis=1))
    assert not np.any(x["rec"] == row)
    assert 0.5 < parts.facts["unknown_word_share"] < 0.9
    model = small(files).build(parts)
    matrix = model.encoder.layers[1].get_weights()[0]
    assert matrix.shape == (len(vocabulary) - 1, 3)
    np.testing.assert_array_equal(matrix[row], [7, 8, 9])


@pytest.mark.parametrize("kind", ["mmoe", "cross_stitch"])
def test_experts_read_what_the_encoder_gives(files, kind):
    experiment = small(files, architecture=kind)
    parts = experiment.load()
    model = experiment.build(parts)
    x = {
        task: own[: 2 + n]
        for n, (task, own) in enumerate(parts.train[0].items())
    }
    predictions = model(x)
    assert [len(p) for p in predictions.values()] == [2, 3, 4, 5]
    units = model.encoder.bottom.output_shape[-1]
    if kind == "mmoe":
        assert model.encoder.experts.num_experts == 4
        kernel = model.encoder.experts.trainable_variables[0]
        assert kernel.shape == (units, 4 * units)


def test_words_only():
    words = words_only(["From: A.B@c-d.EDU\n\nDon't, 3rd!"]).numpy()[0]
    assert words == b"from a b c d edu don t 3rd "


@pytest.mark.parametrize("weighter", ["uniform", "meta_weighting"])
def test_trains(files, tmp_path, weighter):
    experiment = small(files, weighter=weighter, epochs=2, query_split=0.2)
    metrics = train(experiment, tmp_path / "run")
    assert set(metrics["test_accuracy_by_task"]) == set(TASK_GROUPS)
    assert (tmp_path / "run" / "vocabulary.txt").exists()
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    digest = hashlib.sha256(files["data"].read_bytes()).hexdigest()
    assert config["data"] == {"name": "20news.tar", "sha256": digest[:16]}


def test_step_size_of_the_paper(files):
    experiment = small(files, weighter="meta_weighting")
    assert experiment.make_weighter().step_size == 0.5
    other = small(
        files, weighter="meta_weighting", weighter_arguments={"step_size": 2.0}
    )
    assert other.make_weighter().step_size == 2.0
