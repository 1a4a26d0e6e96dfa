"""Archives of texts: their files, or a clear error."""

import bz2
import gzip
import io
import lzma
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_mtl.lab.datasets.archives import read_members
from tests.fuzz.limits import clear_end, examples
from tests.fuzz.mutations import binaries

COMPRESSED = {
    "tar": bytes,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


def archive(layout):
    """Returns a tar archive with a folder, two files and a long name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=layout) as file:
        for name, content in (("a/b", b"x"), (60 * "long/" + "ü", b"y" * 600)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


WHOLE = [archive(layout) for layout in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)]


def check(path, data):
    content = data.draw(st.sampled_from(WHOLE))
    compress = COMPRESSED[data.draw(st.sampled_from([*COMPRESSED]))]
    if data.draw(st.booleans()):
        content = compress(data.draw(binaries(content)))
    else:
        content = data.draw(binaries(compress(content)))
    path.write_bytes(content)
    with clear_end(ValueError):
        for parts, _ in read_members(path, lambda parts: True, "a place"):
            assert ".." not in parts


@examples(100)
@given(st.data())
def test_archives(tmp_path_factory, data):
    check(tmp_path_factory.getbasetemp() / "archive", data)


@pytest.mark.soak
@examples(3_000)
@given(st.data())
def test_many_archives(tmp_path_factory, data):
    check(tmp_path_factory.getbasetemp() / "archive", data)
