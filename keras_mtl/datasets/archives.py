"""Reads files out of tar archives that nobody vouches for."""

import lzma
import tarfile
import zlib
from pathlib import PureWindowsPath

import tensorflow as tf
from tensorflow_datasets.core.download.download_manager import (
    NonMatchingChecksumError,
)

# Above any archive of texts that is read here; a bomb grows far beyond.
MAX_MEMBER_BYTES = 64 << 20
MAX_TOTAL_BYTES = 1 << 30
# What reading a damaged file raises, by the layer that notices.
DAMAGES = (
    EOFError,
    OSError,
    lzma.LZMAError,
    tarfile.TarError,
    tf.errors.OutOfRangeError,
    zlib.error,
)


def prepare(builder):
    """Downloads and prepares a data set, where that is not done.

    Args:
        builder: TFDS builder.

    Raises:
        ValueError: If a download is not the file that is expected.
    """
    try:
        builder.download_and_prepare()
    except NonMatchingChecksumError as error:
        raise ValueError(
            f"A download of the data set {builder.name!r} does not have the "
            "checksum that belongs to it; nothing of it was used. Try again, "
            f"or read an archive of yours with data=PATH. {error}"
        ) from error


def read_members(path, wanted, url):
    """Yields the wanted files of an archive.

    Members are read one after the other; nothing is written to disk. Sizes
    are looked at before a member is unpacked.

    Args:
        path: String, the archive: tar, plain or compressed.
        wanted: Function that takes the parts of a file's path, a tuple of
            strings, and returns whether to read it.
        url: String, where the archive is to be had, for messages.

    Yields:
        `(parts, content)`, tuple of strings and bytes, in the order of the
        archive.

    Raises:
        ValueError: If the archive is damaged or truncated, too large, or has a
            member that no archive of texts has (an absolute path, "..", a
            link, a device).
    """
    total = 0
    try:
        with (
            tf.io.gfile.GFile(path, "rb") as file,
            tarfile.open(fileobj=file, mode="r:*") as archive,
        ):
            for member in archive:
                total += member.size
                parts = _safe_parts(member, total, path, url)
                if member.isfile() and wanted(parts):
                    yield parts, archive.extractfile(member).read()
            _check_end(archive)
    except DAMAGES as error:
        raise ValueError(
            f"The archive {str(path)!r} is damaged or truncated: {error}. "
            f"Fetch it again from {url}"
        ) from error


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


def _safe_parts(member, total, path, url):
    """Returns the parts of a member's path, or raises on one to distrust."""
    # Windows' rules know both kinds of slashes, and drives.
    name = PureWindowsPath(member.name)
    if not (member.isfile() or member.isdir()):
        problem = "is neither a file nor a directory"
    elif name.anchor:
        problem = "has an absolute path"
    elif ".." in name.parts:
        problem = "has a path with '..'"
    elif member.size > MAX_MEMBER_BYTES:
        problem = f"has {member.size} bytes, above {MAX_MEMBER_BYTES}"
    elif total > MAX_TOTAL_BYTES:
        problem = f"makes {total} bytes in all, above {MAX_TOTAL_BYTES}"
    else:
        return name.parts
    raise ValueError(
        f"The archive {str(path)!r} is refused: its member {member.name!r} "
        f"{problem}. Use the archive from {url}"
    )


def _check_end(archive):
    """Raises unless the archive ends as tar and compression demand.

    `tarfile` also stops, without a word, at a damaged header and where there
    is no more data. An end is two blocks of zeros; it has read the first.
    """
    if archive.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("no end-of-archive mark")
    # Decompressors compare their checksum at the end of the data.
    while archive.fileobj.read(1 << 20):
        pass
