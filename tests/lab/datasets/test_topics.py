import functools
import hashlib
import io

import numpy as np
import pytest
import requests
import tensorflow_datasets as tfds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_mtl.lab.datasets import Topics, load_topics, topics
from keras_mtl.lab.datasets.newsgroups import TASK_GROUPS, URL


@pytest.fixture(scope="session")
def archive(tmp_path_factory, write_archive):
    folder = tmp_path_factory.mktemp("manual")
    return write_archive(folder / "20news-bydate.tar.xz", num_posts=5)


class TopicsTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = Topics
    SPLITS = {"train": 16 * 5, "test": 16 * 5}

    @pytest.fixture(autouse=True)
    def _archive_as_example(self, archive):
        type(self).EXAMPLE_DIR = archive.parent


class TopicsDownloadTest(TopicsTest):
    DL_DOWNLOAD_RESULT = "downloaded"

    @pytest.fixture(autouse=True)
    def _archive_as_example(self, write_archive, tmp_path_factory):
        folder = tmp_path_factory.mktemp("download")
        write_archive(folder / "news.tar.gz").rename(folder / "downloaded")
        type(self).EXAMPLE_DIR = folder

    def test_the_checksum_of_the_archive_is_known(self):
        # As scikit-learn's fetch_20newsgroups has it for its copy.
        assert Topics.url_infos[URL].checksum.startswith("8f1b2514ca22a5ade8f")


def test_archive_is_downloaded_where_there_is_no_manual_folder(
    tmp_path, archive, monkeypatch
):
    urls = []
    monkeypatch.setattr(
        tfds.download.DownloadManager,
        "download",
        lambda self, url: urls.append(url) or archive,
    )
    Topics(data_dir=tmp_path).download_and_prepare()
    assert urls == [URL]


def test_a_download_with_another_checksum_is_not_used(tmp_path, monkeypatch):
    asked = []

    def get(self, url, **kwargs):
        asked.append(url)
        response = requests.Response()
        response.url, response.status_code = url, 200
        response.raw = io.BytesIO(b"not the archive")
        return response

    monkeypatch.setattr(requests.Session, "get", get)
    here = functools.partial(Topics, data_dir=tmp_path)
    monkeypatch.setattr(topics, "Topics", here)
    with pytest.raises(ValueError) as error:
        load_topics()
    assert str(error.value).startswith(
        "A download of the data set 'topics' does not have the checksum that "
        "belongs to it; nothing of it was used. Try again, or read an archive "
        f"of yours with data=PATH. Artifact {URL}, downloaded to "
    )
    digest = hashlib.sha256(b"not the archive").hexdigest()
    assert digest in str(error.value)
    assert asked == [URL]
    assert not [*tmp_path.rglob("dataset_info.json")]
    assert not [*tmp_path.rglob("*.tfrecord*")]
    # Nor is it kept for a later call.
    with pytest.raises(ValueError, match="does not have the checksum"):
        load_topics()
    assert asked == [URL, URL]


@pytest.fixture
def prepared(tmp_path, archive, monkeypatch):
    """`load_topics()` prepares in a folder of its own, from the archive."""
    config = tfds.download.DownloadConfig(manual_dir=archive.parent)

    class Local(Topics, skip_registration=True):
        def __init__(self, config):
            super().__init__(config=config, data_dir=tmp_path)

        def download_and_prepare(self):
            super().download_and_prepare(download_config=config)

    monkeypatch.setattr(topics, "Topics", Local)


@pytest.mark.parametrize("headers", [True, False])
@pytest.mark.usefixtures("prepared")
def test_prepared_posts_split_like_the_archive(archive, headers):
    of_archive = load_topics(archive, seed=3, headers=headers)
    of_builder = load_topics(seed=3, headers=headers)
    for name, tasks in of_archive.items():
        for task, (texts, labels) in tasks.items():
            assert of_builder[name][task][0].tolist() == texts.tolist()
            np.testing.assert_array_equal(of_builder[name][task][1], labels)
            assert labels.dtype == np.int32
            assert texts[0].startswith("From: né") == headers


@pytest.mark.usefixtures("prepared")
def test_another_process_may_prepare_at_the_same_time(archive, monkeypatch):
    made = topics.Topics.download_and_prepare

    def second(self):
        made(type(self)(config=self.builder_config))
        raise FileExistsError("Cannot rename")

    monkeypatch.setattr(topics.Topics, "download_and_prepare", second)
    texts, _ = load_topics()["train"]["comp"]
    assert set(texts) <= {
        text
        for tasks in load_topics(archive).values()
        for text in tasks["comp"][0]
    }


@pytest.mark.usefixtures("prepared")
def test_a_disk_that_is_full_is_told(monkeypatch):
    def full(self):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(topics.Topics, "download_and_prepare", full)
    with pytest.raises(OSError, match="No space left"):
        load_topics()


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from([(0.6, 0.2, 0.2), (0.8, 0.1, 0.1), (0.34, 0.33, 0.33)]),
    st.integers(0, 9),
)
def test_each_group_keeps_its_share_in_disjoint_sets(archive, split, seed):
    sets = load_topics(archive, split, seed)
    assert list(sets) == ["train", "validation", "test"]
    for task, groups in TASK_GROUPS.items():
        texts = [text for tasks in sets.values() for text in tasks[task][0]]
        assert len(texts) == len(set(texts)) == 4 * 10
        for share, tasks in zip(split, sets.values(), strict=True):
            for label, group in enumerate(groups):
                own = tasks[task][0][tasks[task][1] == label]
                assert abs(len(own) - 10 * share) <= 1.0
                assert all(f"Subject: {group}\n" in text for text in own)


def test_seed_decides(archive):
    texts = [
        load_topics(archive, seed=seed)["test"]["sci"][0].tolist()
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize("split", [(0.6, 0.4), (0.6, 0.3, 0.3)])
def test_shares_that_do_not_sum_to_one_are_refused(split):
    with pytest.raises(ValueError) as error:
        load_topics("unused", split=split)
    assert str(error.value) == (
        "Argument `split` must be three shares that sum to 1, of the "
        f"training, validation and test sets. Received: split={split!r}"
    )
