import io
import tarfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keras_mtl.lab.datasets import (
    Sentiment,
    archives,
    load_sentiment,
    sentiment,
)
from keras_mtl.lab.datasets.reviews import DOMAINS, FILES, URL, read_reviews

NUM_TRAIN, NUM_TEST = 20, 6


def content(name):
    """Reviews of both classes, with bytes that are not UTF-8."""
    count = NUM_TRAIN if name.endswith("train") else NUM_TEST
    lines = [f"{n % 2}\t{name} {n}\x85é good" for n in range(count)]
    return "".join(f"{line}\n" for line in lines).encode("latin-1")


def write_archive(path, **replaced):
    """Writes an archive; `replaced` has other contents, None for no file."""
    contents = {name: content(name) for name in FILES}
    # To be passed over.
    contents |= {"imdb.task.train": b"?", "books.task.unlabel": b"words"}
    contents |= {n.replace("_task_", ".task."): c for n, c in replaced.items()}
    with tarfile.open(path, f"w:{path.suffix[1:]}") as archive:
        for name, bytes_ in contents.items():
            if bytes_ is not None:
                member = tarfile.TarInfo(f"fdu_mtl/{name}")
                member.size = len(bytes_)
                archive.addfile(member, io.BytesIO(bytes_))
    return path


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("manual")
    return write_archive(folder / "fdu_mtl.tar.xz")


class SentimentTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = Sentiment
    SPLITS = {"train": 14 * NUM_TRAIN, "test": 14 * NUM_TEST}

    @pytest.fixture(autouse=True)
    def _archive_as_example(self, archive):
        type(self).EXAMPLE_DIR = archive.parent


class SentimentDownloadTest(SentimentTest):
    DL_DOWNLOAD_RESULT = {name: name for name in FILES}

    @pytest.fixture(autouse=True)
    def _archive_as_example(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("download")
        for name in FILES:
            (folder / name).write_bytes(content(name))
        type(self).EXAMPLE_DIR = folder

    def test_sizes_and_checksums_are_known(self):
        infos = {name: Sentiment.url_infos[URL + name] for name in FILES}
        # Of the file at that address.
        assert infos["baby.task.test"].size == 220_031
        assert len({info.checksum for info in infos.values()}) == 28


@pytest.fixture
def prepared(tmp_path, archive, monkeypatch):
    """`load_sentiment()` prepares in a folder of its own."""
    config = tfds.download.DownloadConfig(manual_dir=archive.parent)

    class Local(Sentiment, skip_registration=True):
        def __init__(self):
            super().__init__(data_dir=tmp_path)

        def download_and_prepare(self):
            super().download_and_prepare(download_config=config)

    monkeypatch.setattr(sentiment, "Sentiment", Local)


@pytest.mark.usefixtures("prepared")
def test_prepared_reviews_split_like_the_archive(archive):
    of_archive, of_builder = (
        load_sentiment(archive, seed=3),
        load_sentiment(seed=3),
    )
    assert list(of_archive) == ["train", "validation", "test"]
    for name, tasks in of_archive.items():
        assert list(tasks) == list(DOMAINS)
        for task, (texts, labels) in tasks.items():
            assert of_builder[name][task][0].tolist() == texts.tolist()
            np.testing.assert_array_equal(of_builder[name][task][1], labels)
            assert labels.dtype == np.int32
            assert texts[0].endswith("\x85é good")


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.sampled_from([0.1, 0.2, 0.5]), st.integers(0, 9))
def test_classes_keep_their_shares_in_disjoint_sets(archive, share, seed):
    sets = load_sentiment(archive, share, seed)
    for task in DOMAINS:
        texts, labels = sets["test"][task]
        assert len(texts) == NUM_TEST
        assert all(text.startswith(f"{task}.task.test ") for text in texts)
        trained, held_out = sets["train"][task], sets["validation"][task]
        assert len({*trained[0], *held_out[0]}) == NUM_TRAIN
        assert len(held_out[0]) == NUM_TRAIN * share
        assert np.sum(held_out[1]) == NUM_TRAIN * share / 2
        for texts, labels in (trained, held_out):
            numbers = [int(t.split()[1].split("\x85")[0]) % 2 for t in texts]
            np.testing.assert_array_equal(labels, numbers)


def test_seed_decides(archive):
    texts = [
        load_sentiment(archive, seed=seed)["validation"]["dvd"][0].tolist()
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def lines_of(pairs):
    return "".join(f"{label}\t{text}\n" for label, text in pairs).encode()


def test_training_without_repeats(tmp_path):
    """No text of a test set, of whichever domain, and none twice."""
    own = [(n % 2, f"text {n}") for n in range(20)]
    archive = write_archive(
        tmp_path / "fdu.tar",
        books_task_train=lines_of([*own, *own[:7]]),
        books_task_test=lines_of([*own[:2], (1, "other"), (0, "another")]),
        dvd_task_test=lines_of(own[2:4]),
    )
    kept = load_sentiment(archive, 0.25, repeats=False)
    texts = [*kept["train"]["books"][0], *kept["validation"]["books"][0]]
    labels = [*kept["train"]["books"][1], *kept["validation"]["books"][1]]
    assert sorted(zip(labels, texts, strict=True)) == sorted(own[4:])
    assert len(kept["test"]["books"][0]) == 4
    source = load_sentiment(archive, 0.25)
    sizes = [len(source[s]["books"][0]) for s in ("train", "validation")]
    assert sum(sizes) == 27
    baby = [sets["train"]["baby"][0].tolist() for sets in (kept, source)]
    assert baby[0] == baby[1]


def test_a_domain_of_repeats_alone_is_refused(tmp_path):
    pairs = lines_of([(0, "bad"), (1, "good"), (1, "fine")])
    archive = write_archive(
        tmp_path / "fdu.tar",
        books_task_train=pairs,
        books_task_test=lines_of([(0, "bad"), (1, "good")]),
    )
    with pytest.raises(ValueError, match="Without repeats, the domain 'books'"):
        load_sentiment(archive, repeats=False)


def test_lines_end_at_newlines_only(archive):
    review = next(read_reviews(archive))
    assert review == (
        "train",
        "apparel",
        1,
        0,
        "apparel.task.train 0\x85é good",
    )


BROKEN = (
    "Line {} of 'books.task.train' in '{}' must hold the label 0 or 1, a tab "
    "and a review. Received: {!r}. Fetch it again from " + URL
)


@pytest.mark.parametrize(
    ("text", "number", "line"),
    [
        (b"", 1, ""),
        (b"1\tgood\n\n0\tbad\n", 2, ""),
        (b"1\tgood\n0 bad\n", 2, "0 bad"),
        (b"1\tgood\n2\tbad\n", 2, "2\tbad"),
        (b"1\tgood\n0\tbad\nx\n", 3, "x"),
        (b"1\tgood\n" + 100 * b"-", 2, 60 * "-"),
    ],
)
def test_a_broken_line_is_named(tmp_path, text, number, line):
    path = write_archive(tmp_path / "a.tar.gz", books_task_train=text)
    with pytest.raises(ValueError) as error:
        load_sentiment(path)
    assert str(error.value) == BROKEN.format(number, path, line)


def test_a_domain_of_one_class_is_refused(tmp_path):
    one = b"1\tgood\n1\tfine\n"
    path = write_archive(tmp_path / "a.tar.gz", dvd_task_test=one)
    with pytest.raises(ValueError) as error:
        load_sentiment(path)
    assert str(error.value) == (
        f"The file 'dvd.task.test' in '{path}' must hold reviews of both "
        "classes, 0 and 1. Received: 2 reviews of class 1 only. Fetch it "
        f"again from {URL}"
    )


def test_a_missing_domain_is_named(tmp_path):
    path = write_archive(tmp_path / "a.tar.gz", video_task_train=None)
    with pytest.raises(ValueError) as error:
        load_sentiment(path)
    assert str(error.value) == (
        f"{str(path)!r} must hold the reviews of all 14 domains, as "
        "DOMAIN.task.train and DOMAIN.task.test. Missing: "
        f"['video.task.train']. Fetch them again from {URL}"
    )


def test_a_file_that_is_there_twice_is_refused(tmp_path):
    twice = {"more/dvd.task.test": content("dvd.task.test")}
    path = write_archive(tmp_path / "a.tar.gz", **twice)
    with pytest.raises(ValueError, match=r"the file 'dvd\.task\.test' once"):
        load_sentiment(path)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_truncated_archives_are_refused(tmp_path, archive, share):
    path = tmp_path / "cut.tar.xz"
    whole = archive.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match="is damaged or truncated"):
        load_sentiment(path)


def test_escaping_paths_are_refused(tmp_path):
    escaping = {"../../books.task.train": b"1\tgood\n"}
    path = write_archive(tmp_path / "a.tar.gz", **escaping)
    with pytest.raises(ValueError, match=r"has a path with '\.\.'"):
        load_sentiment(path)


@pytest.mark.parametrize(
    ("limit", "problem"),
    [
        ("MAX_MEMBER_BYTES", "has 1000 bytes, above 999"),
        ("MAX_TOTAL_BYTES", r"makes \d+ bytes in all, above 999"),
    ],
)
def test_large_members_are_refused_unread(
    tmp_path, monkeypatch, limit, problem
):
    # The size is that of the header: the content is not there at all.
    path = tmp_path / "bomb.tar"
    member = tarfile.TarInfo("fdu_mtl/books.task.train")
    member.size = 1_000
    path.write_bytes(member.tobuf())
    monkeypatch.setattr(archives, limit, 999)
    with pytest.raises(ValueError, match=problem):
        load_sentiment(path)


@pytest.mark.parametrize("validation", [0.0, 1.0, -0.1])
def test_a_share_out_of_range_is_refused(validation):
    with pytest.raises(ValueError, match="Argument `validation` must lie"):
        load_sentiment("unused", validation)
