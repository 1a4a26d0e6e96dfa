"""Tables of molecules: what is read, what is refused, what is kept."""

import gzip

import numpy as np
import pytest

from keras_mtl.lab.datasets.molecules import load_molecules

pytest.importorskip("rdkit")

TABLE = """smiles,mol_id,PCBA-1,PCBA-2
CCO,a,1,0.0
no molecule,b,1,1
c1ccccc1,c,,1
OCC,d,0,
"""


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(TABLE.encode()))
    return path


def test_what_is_read(table):
    found = load_molecules(table, radius=2, size=64)
    assert found.task_names == ("PCBA-1", "PCBA-2")
    assert found.refused == ("no molecule",)
    assert found.labels.tolist() == [[1, 0], [-1, 1], [0, -1]]
    ethanol, benzene, reversed_ethanol = np.unpackbits(
        found.fingerprints, axis=1
    )
    # The same molecule, written the other way round.
    np.testing.assert_array_equal(ethanol, reversed_ethanol)
    # Neighbourhoods of ethanol: three atoms alone, three with their bonds
    # (the whole molecule, around the middle one, is among them). Of benzene
    # all atoms are alike: one for each radius.
    assert (ethanol.sum(), benzene.sum()) == (6, 3)


def test_fingerprints_are_kept_by_the_tables_checksum(table, monkeypatch):
    first = load_molecules(table, radius=2, size=64)
    (kept,) = table.parent.glob("*.npz")

    def refuse(*args):
        raise AssertionError("computed again")

    with monkeypatch.context() as patched:
        patched.setattr("keras_mtl.lab.datasets.molecules.fingerprints", refuse)
        again = load_molecules(table, radius=2, size=64)
        for value, other in zip(first, again, strict=True):
            np.testing.assert_array_equal(value, other)
        with pytest.raises(AssertionError, match="computed again"):
            load_molecules(table, radius=3, size=64)
    kept.write_bytes(kept.read_bytes()[:100])  # Damaged: computed again.
    again = load_molecules(table, radius=2, size=64)
    np.testing.assert_array_equal(again.fingerprints, first.fingerprints)


def test_a_folder_that_cannot_be_written_is_told(table, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.warns(UserWarning, match="made anew each time: .*No space"):
        assert len(load_molecules(table, size=64).labels) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has the columns \\[\\] and 0 rows"),
        ("mol_id,smiles\na,CCO\n", "a column 'smiles' and one per task"),
        ("smiles,t\nCCO,2\n", "Row 2 of .* has the label '2'"),
        ("smiles,t,t\nCCO,1,0\n", r"of one name: \['t'\]"),
        ("smiles,t\nCCO,1\nCC\n", "Row 3 of .* has 1 fields, the header 2"),
    ],
)
def test_what_is_no_such_table(tmp_path, text, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_molecules(path)


def test_bad_arguments(table):
    with pytest.raises(ValueError, match="must be a multiple of 8"):
        load_molecules(table, size=20)
    with pytest.raises(ValueError, match="cannot be read"):
        load_molecules(table.parent / "none.csv")
    table.write_bytes(table.read_bytes()[:20])
    with pytest.raises(ValueError, match="cannot be read"):
        load_molecules(table)
