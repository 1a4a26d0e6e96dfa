"""Reads files out of tar archives that nobody vouches for."""

import bz2
import gzip
import lzma
import tarfile
import zlib
from contextlib import contextmanager
from pathlib import PureWindowsPath

import tensorflow as tf
from tensorflow_datasets.core.download.download_manager import (
    NonMatchingChecksumError,
)

# Above any archive of texts that is read here; a bomb grows far beyond.
MAX_MEMBER_BYTES = 64 << 20
MAX_TOTAL_BYTES = 1 << 30
MAX_MEMBERS = 1 << 17
# Of all headers of a member; `tarfile` searches them in quadratic time.
MAX_HEADER_BYTES = 1 << 14
# What reading a damaged file raises, by the layer that notices.
DAMAGES = (
    EOFError,
    OSError,
    ValueError,
    lzma.LZMAError,
    tarfile.TarError,
    tf.errors.OutOfRangeError,
    zlib.error,
)
# How compressed files begin.
OPENERS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}


def prepared(make):
    """Returns the builder of a data set that can be read.

    Downloads and prepares it where that is not done. Several processes may do
    so at once: the first to end is the one whose files stay.

    Args:
        make: Function without arguments that returns a TFDS builder.

    Raises:
        ValueError: If a download is not the file that is expected.
    """
    builder = make()
    try:
        builder.download_and_prepare()
    except NonMatchingChecksumError as error:
        raise ValueError(
            f"A download of the data set {builder.name!r} does not have the "
            "checksum that belongs to it; nothing of it was used. Try again, "
            f"or read an archive of yours with data=PATH. {error}"
        ) from error
    except OSError:
        if not builder.data_path.exists():
            raise
    # A builder learns what is there when it is made.
    return make()


def read_members(path, wanted, url, max_bytes=None):
    """Yields the wanted files of an archive.

    Members are read one after the other; nothing is written to disk. Sizes
    are looked at before a member is unpacked.

    Args:
        path: String, the archive: tar, plain or compressed.
        wanted: Function that takes the parts of a file's path, a tuple of
            strings, and returns whether to read it.
        url: String, where the archive is to be had, for messages.
        max_bytes: Integer, bytes of a member at most; 64 MB by default.

    Yields:
        `(parts, content)`, tuple of strings and bytes, in the order of the
        archive.

    Raises:
        ValueError: If the archive is damaged or truncated, too large, or has a
            member that no archive of texts has (an absolute path, "..", a
            link, a device).
    """
    total, most = 0, MAX_MEMBER_BYTES if max_bytes is None else max_bytes
    with tf.io.gfile.GFile(path, "rb") as file:
        archive = _Archive(file, path, url)
        for number, member in enumerate(archive.members()):
            total += member.size
            parts = _safe_parts(member, number, total, path, url, most)
            if member.isfile() and wanted(parts):
                yield parts, archive.content(member)


class _Archive:
    """Reads a tar archive that may be damaged, or made to do harm.

    Args:
        file: Binary file.
        path: String, its path, for messages.
        url: String, where the archive is to be had, for messages.
    """

    def __init__(self, file, path, url):
        self._file, self._path, self._url = file, path, url

    def members(self):
        """Yields `tarfile.TarInfo`, to the end that tar demands."""
        with self._noticing_damage():
            self._stream = _Stream(self._file)
            archive = tarfile.TarFile(fileobj=self._stream)
        place = -1
        while True:
            with self._noticing_damage():
                self._stream.begin_member()
                member = archive.next()
                if member is None:
                    break
                if member.offset <= place:
                    raise tarfile.ReadError("its members do not follow")
            place = member.offset
            yield member
            archive.members = []  # It would keep them all.
        with self._noticing_damage():
            self._stream.check_end()

    def content(self, member) -> bytes:
        """Returns the content of the member that was yielded last."""
        with self._noticing_damage():
            self._stream.seek(member.offset_data)
            return self._stream.read_whole(member.size)

    @contextmanager
    def _noticing_damage(self):
        try:
            yield
        except DAMAGES as error:
            raise ValueError(
                f"The archive {str(self._path)!r} is damaged or truncated: "
                f"{error}. Fetch it again from {self._url}"
            ) from error


class _Stream:
    """What `tarfile` reads: it believes a header about sizes and places.

    Args:
        file: Binary file, compressed or not.
    """

    def __init__(self, file):
        start = file.read(8)
        file.seek(0)
        opened = [f for sign, f in OPENERS.items() if start.startswith(sign)]
        self._file = opened[0](file) if opened else file
        self.tell = self._file.tell
        self.begin_member()

    def begin_member(self):
        """Allows the headers of another member."""
        self._left = MAX_HEADER_BYTES

    def seek(self, position):
        """Goes to a place that an archive of this size can have."""
        # Contents, and as much again for headers and blocks.
        if not 0 <= position <= 2 * MAX_TOTAL_BYTES:
            raise tarfile.ReadError(f"a header points to byte {position}")
        return self._file.seek(position)

    def read(self, size):
        """Returns bytes of a header."""
        if not 0 <= size <= self._left:
            raise tarfile.ReadError(
                f"the headers of a member exceed {MAX_HEADER_BYTES} bytes"
            )
        self._left -= size
        self.seek(self.tell())
        return self._file.read(size)

    def read_whole(self, size):
        """Returns so many bytes."""
        content = self._file.read(size)
        if len(content) < size:
            raise tarfile.ReadError("unexpected end of data")
        return content

    def check_end(self):
        """Raises unless the archive ends as tar and compression demand.

        `tarfile` also stops, without a word, at a damaged header and where
        there is no more data. An end is two blocks of zeros; it has read the
        first.
        """
        if self._file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("no end-of-archive mark")
        # Decompressors compare their checksum at the end of the data.
        while self._file.read(1 << 20):
            self.seek(self.tell())


def manual_archive(dl_manager, names):
    """Returns the path of an archive in `manual_dir`, or None.

    Args:
        dl_manager: `tfds.download.DownloadManager`.
        names: Strings, names of files, the first to be preferred.
    """
    try:
        folder = dl_manager.manual_dir
    except AssertionError:  # TFDS' word for a folder that is not there.
        return None
    found = [folder / name for name in names if (folder / name).exists()]
    return found[0] if found else None


def _safe_parts(member, number, total, path, url, max_bytes):
    """Returns the parts of a member's path, or raises on one to distrust."""
    # Windows' rules know both kinds of slashes, and drives.
    name = PureWindowsPath(member.name)
    if not (member.isfile() or member.isdir()):
        problem = "is neither a file nor a directory"
    elif member.issparse():
        problem = "is a sparse file"
    elif name.anchor:
        problem = "has an absolute path"
    elif ".." in name.parts:
        problem = "has a path with '..'"
    elif member.size < 0:
        problem = f"has {member.size} bytes"
    elif member.size > max_bytes:
        problem = f"has {member.size} bytes, above {max_bytes}"
    elif total > MAX_TOTAL_BYTES:
        problem = f"makes {total} bytes in all, above {MAX_TOTAL_BYTES}"
    elif number >= MAX_MEMBERS:
        problem = f"comes after {MAX_MEMBERS} others"
    else:
        return name.parts
    raise ValueError(
        f"The archive {str(path)!r} is refused: its member {member.name!r} "
        f"{problem}. Use the archive from {url}"
    )
