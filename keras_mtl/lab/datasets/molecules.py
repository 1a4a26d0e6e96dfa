"""MoleculeNet's tables: molecules as text, an assay's outcome per column."""

import csv
import gzip
import hashlib
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_mtl.checks import integer, need

MISSING = -1
TEXT = "smiles"
NAMES = ("mol_id",)


class Molecules(NamedTuple):
    """What a table says of its molecules.

    Attributes:
        fingerprints: `(n, size / 8)` uint8, packed bits.
        labels: `(n, K)` int8: 1 active, 0 not, -1 unknown.
        task_names: Tuple of K strings, the columns.
        refused: Tuple of the texts that are no molecule; their rows are left
            out.
    """

    fingerprints: np.ndarray
    labels: np.ndarray
    task_names: tuple
    refused: tuple


def load_molecules(path, radius=4, size=2048) -> Molecules:
    """Reads a table of MoleculeNet, with fingerprints of its molecules.

    A fingerprint has a bit for each kind of neighbourhood of an atom (Morgan;
    ECFP8 at radius 4). It is kept beside the table, in a file that bears the
    table's checksum, where that can be written.

    Example:

    >>> load_molecules("tox21.csv.gz").labels.shape
    (8014, 12)

    Args:
        path: String or Path, a `.csv` or `.csv.gz` with the column `smiles`;
            all others but `mol_id` are tasks, with 0, 1, or nothing.
        radius: Integer, bonds around an atom.
        size: Integer, bits; a multiple of 8.

    Returns:
        `Molecules`.

    Raises:
        ValueError: If the file is no such table, or RDKit (the extra
            `molecules`) is not installed.
    """
    path = Path(path)
    radius, size = integer("radius", radius, 0), integer("size", size, 8)
    if size % 8:
        raise ValueError(
            f"Argument `size` must be a multiple of 8. Received: size={size}"
        )
    texts, labels, tasks, checksum = _read(path)
    kept = path.with_name(f"{path.name}.{checksum}.ecfp-{radius}-{size}.npz")
    found = _stored(kept, len(texts), size)
    if found is None:
        found = fingerprints(texts, radius, size)
        _store(kept, *found)
    packed, known = found
    refused = tuple(t for t, k in zip(texts, known, strict=True) if not k)
    return Molecules(packed[known], labels[known], tasks, refused)


def fingerprints(texts, radius, size):
    """Returns packed fingerprints, and which texts are molecules.

    Args:
        texts: List of n SMILES.
        radius: Integer.
        size: Integer.

    Returns:
        `(n, size / 8)` uint8, zeros for a text that is no molecule, and `(n,)`
        booleans.
    """
    need("Fingerprints of molecules", ["rdkit"], "molecules")
    from rdkit import Chem, RDLogger
    from rdkit.Chem import rdFingerprintGenerator

    RDLogger.DisableLog("rdApp.*")
    generator = rdFingerprintGenerator.GetMorganGenerator(
        radius=radius, fpSize=size
    )
    packed = np.zeros((len(texts), size // 8), "uint8")
    known = np.zeros(len(texts), bool)
    for row, text in enumerate(texts):
        molecule = Chem.MolFromSmiles(text)
        if molecule is not None and molecule.GetNumAtoms():
            bits = generator.GetFingerprintAsNumPy(molecule)
            packed[row], known[row] = np.packbits(bits), True
    return packed, known


def _read(path):
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        with opened(path, "rt", encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            header = next(lines, [])
            rows = [line for line in lines if line]
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"The table of molecules {path} cannot be read: {error}"
        ) from error
    columns = [n for n, c in enumerate(header) if c not in (TEXT, *NAMES)]
    if TEXT not in header or not columns or not rows:
        raise ValueError(
            f"A table of molecules has a column {TEXT!r} and one per task, and "
            f"rows. {path} has the columns {header[:5]} and {len(rows)} rows."
        )
    if len(set(header)) < len(header):
        twice = sorted({c for c in header if header.count(c) > 1})
        raise ValueError(f"{path} has several columns of one name: {twice}")
    short = [n for n, row in enumerate(rows) if len(row) != len(header)]
    if short:
        raise ValueError(
            f"Row {short[0] + 2} of {path} has {len(rows[short[0]])} fields, "
            f"the header {len(header)}."
        )
    at = header.index(TEXT)
    labels = np.full((len(rows), len(columns)), MISSING, "int8")
    values = {"": MISSING, "0": 0, "0.0": 0, "1": 1, "1.0": 1}
    for number, row in enumerate(rows):
        try:
            labels[number] = [values[row[column]] for column in columns]
        except KeyError as error:
            raise ValueError(
                f"Row {number + 2} of {path} has the label {error}. A label is "
                "0, 1, or empty where it is missing."
            ) from error
    tasks = tuple(header[column] for column in columns)
    return [row[at] for row in rows], labels, tasks, checksum


def _stored(path, num_rows, size):
    try:
        with path.open("rb") as file:
            stored = np.load(file, allow_pickle=False)
            packed, known = stored["fingerprints"], stored["known"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    right = packed.shape == (num_rows, size // 8) and len(known) == num_rows
    return (packed, known.astype(bool)) if right else None


def _store(path, packed, known):
    partial = path.with_suffix(".partial.npz")
    try:
        np.savez(partial, fingerprints=packed, known=known)
        partial.replace(path)
    except OSError as error:
        warnings.warn(
            f"Fingerprints are made anew each time: {path} cannot be written "
            f"({error.strerror}).",
            stacklevel=3,
        )
