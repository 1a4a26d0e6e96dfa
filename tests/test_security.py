"""Files that nobody vouches for run no code, and fill no memory."""

import ast
import bz2
import gzip
import io
import lzma
import tarfile
from pathlib import Path

import keras
import pytest

import keras_mtl
from keras_mtl import MultiTaskModel
from keras_mtl.lab.datasets import archives
from keras_mtl.lab.datasets.archives import read_members

FILES = sorted(Path(keras_mtl.__file__).parent.rglob("*.py"))
# Modules that run what they read, and functions that run a text.
MODULES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
CALLS = {"eval", "exec", "compile_command", "enable_unsafe_deserialization"}


def name_of(node):
    return getattr(node, "id", getattr(node, "attr", None))


def test_nothing_runs_what_it_reads():
    for path in FILES:
        check_calls(path)


def check_calls(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            names.append(getattr(node, "module", None) or "")
            imported = {name.partition(".")[0] for name in names}
            assert not imported & MODULES, path
        if isinstance(node, ast.Call):
            assert name_of(node.func) not in CALLS, path
            if ast.unparse(node.func) == "np.load":
                said = {k.arg: k.value for k in node.keywords}
                assert said["allow_pickle"].value is False
        if isinstance(node, ast.keyword):
            allowed = getattr(node.value, "value", None)
            assert not (node.arg == "safe_mode" and allowed is not True)
            assert not (node.arg == "allow_pickle" and allowed is not False)


def test_a_model_with_code_inside_is_refused(tmp_path):
    inputs = keras.Input((2,))
    outputs = keras.layers.Lambda(lambda x: x + 1.0)(inputs)
    head = keras.layers.Dense(1)
    model = MultiTaskModel(keras.Model(inputs, outputs), {"a": head})
    model.save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match="safe_mode"):
        keras.saving.load_model(tmp_path / "model.keras")


OPENERS = {"tar": open, "gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}


def refused(path, match):
    with pytest.raises(ValueError, match=match) as error:
        list(read_members(path, lambda parts: True, "https://example.org/a"))
    assert "https://example.org/a" in str(error.value)


def header(name="a", size=0, kind=tarfile.REGTYPE, number=None):
    """Returns a header; `number` stands for `size`, as base 256."""
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    if number is not None:
        block[124:136] = (number % 256**12).to_bytes(12, "big")
        block[148:156] = 8 * b" "
        block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(records, kind=tarfile.XHDTYPE):
    """Returns an extended header with records `key=value`."""
    body = b""
    for record in records:
        length = len(record) + 3
        while length != len(b"%d %s\n" % (length, record)):
            length += 1
        body += b"%d %s\n" % (length, record)
    return header("pax", len(body), kind) + body + bytes(-len(body) % 512)


NEGATIVE = -1024
HOSTILE = {
    # `tarfile` alone would read this many bytes at once.
    "a long name": header("l", 1 << 33, tarfile.GNUTYPE_LONGNAME),
    "an extended header": header("x", 1 << 33, tarfile.XHDTYPE),
    # And would go back to a header it has read, for ever.
    "a negative size": header(number=NEGATIVE),
    "a negative header": header(kind=tarfile.XHDTYPE, number=NEGATIVE),
    "a negative size by PAX": pax([b"size=-1024"]) + header(),
    # And would call itself for each.
    "a chain of headers": 2000 * pax([b"comment=more"]) + header(),
    "a number that is none": pax([b"GNU.sparse.map=x"]) + header(),
    "a size beyond all": pax([b"size=" + 30 * b"9"]) + header(),
    "a size of too many digits": pax([b"size=" + 5000 * b"9"]) + header(),
    "holes": pax([b"GNU.sparse.map=0,1", b"GNU.sparse.size=99"]) + header(),
    "holes of the old kind": header(kind=tarfile.GNUTYPE_SPARSE),
    "a global header": pax([b"size=-1"], tarfile.XGLTYPE) + header(),
    # `re` would search these digits for minutes.
    "digits": pax([b"comment=" + 60_000 * b"1"]) + header(),
}


@pytest.mark.parametrize("kind", OPENERS)
@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_headers_are_refused(tmp_path, kind, content):
    path = tmp_path / f"a.{kind}"
    with OPENERS[kind](path, "wb") as file:
        file.write(content)
    refused(path, "is damaged or truncated|is refused")


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_bomb_of_zeros_is_refused(tmp_path, monkeypatch, kind):
    """A file of a thousandth of the size that it unpacks to."""
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 1 << 20)
    path = tmp_path / f"a.{kind}"
    with OPENERS[kind](path, "wb") as file:
        for _ in range(64):
            file.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 18
    refused(path, "points to byte")


def test_too_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    path = tmp_path / "a.tar"
    path.write_bytes(b"".join(header(str(n)) for n in range(4)) + bytes(1024))
    refused(path, "its member '3' comes after 3 others")


def test_a_flipped_bit_is_noticed(tmp_path):
    """In the content of a compressed archive, by its checksum."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("a")
        member.size = 1000
        archive.addfile(member, io.BytesIO(bytes(range(250)) * 4))
    content = bytearray(gzip.compress(buffer.getvalue(), 0))
    content[800] ^= 1
    path = tmp_path / "a.tar.gz"
    path.write_bytes(bytes(content))
    refused(path, "is damaged or truncated: CRC check failed")
