"""Reads posts from a 20 Newsgroups archive, without unpacking it."""

import lzma
import tarfile
import zlib
from pathlib import PureWindowsPath
from typing import NamedTuple

import tensorflow as tf

URL = "http://qwone.com/~jason/20Newsgroups/20news-bydate.tar.gz"

# Table 1 of Mao et al., 2022: each task's groups, in the order of their labels.
TASK_GROUPS = {
    "comp": (
        "comp.os.ms-windows.misc",
        "comp.sys.mac.hardware",
        "comp.graphics",
        "comp.windows.x",
    ),
    "rec": (
        "rec.sport.baseball",
        "rec.sport.hockey",
        "rec.autos",
        "rec.motorcycles",
    ),
    "sci": ("sci.crypt", "sci.electronics", "sci.med", "sci.space"),
    "talk": (
        "talk.politics.mideast",
        "talk.religion.misc",
        "talk.politics.misc",
        "talk.politics.guns",
    ),
}
SPLIT_FOLDERS = {"20news-bydate-train": "train", "20news-bydate-test": "test"}
# What reading a damaged file raises, by the layer that notices.
DAMAGES = (
    EOFError,
    lzma.LZMAError,
    tarfile.TarError,
    tf.errors.OutOfRangeError,
    zlib.error,
)
_PLACES = {
    group: (task, label)
    for task, groups in TASK_GROUPS.items()
    for label, group in enumerate(groups)
}
GROUPS = tuple(_PLACES)


class Post(NamedTuple):
    """One post of the 16 groups.

    Attributes:
        split: "train" or "test", by date.
        group: Name of the newsgroup.
        task: "comp", "rec", "sci" or "talk".
        label: Integer from 0 to 3, the group within the task.
        number: Name of the post's file.
        text: The post.
    """

    split: str
    group: str
    task: str
    label: int
    number: str
    text: str


def read_posts(path, headers=True):
    """Yields the posts of the 16 groups from the archive.

    Members are read one after the other; nothing is written to disk.

    Args:
        path: String, the `20news-bydate` archive: tar, plain or compressed.
        headers: Boolean. Whether to keep a post's header lines (From, Subject,
            Organization, ...), which end at its first blank line.

    Yields:
        `Post`, in the order of the archive.

    Raises:
        ValueError: If the archive is damaged or truncated, has a member that
            no archive of posts has (an absolute path, "..", a link, a device),
            or lacks one of the 16 groups in one of the splits.
    """
    missing = {
        (split, group) for split in SPLIT_FOLDERS.values() for group in _PLACES
    }
    try:
        with (
            tf.io.gfile.GFile(path, "rb") as file,
            tarfile.open(fileobj=file, mode="r:*") as archive,
        ):
            for member in archive:
                parts = _safe_parts(member, path)
                if not member.isfile() or len(parts) < 3:
                    continue
                split = SPLIT_FOLDERS.get(parts[-3])
                if split is None or parts[-2] not in _PLACES:
                    continue
                text = archive.extractfile(member).read().decode("latin-1")
                if not headers:
                    text = text.partition("\n\n")[2]
                missing.discard((split, parts[-2]))
                yield Post(
                    split, parts[-2], *_PLACES[parts[-2]], parts[-1], text
                )
            _check_end(archive)
    except DAMAGES as error:
        raise ValueError(
            f"The archive {str(path)!r} is damaged or truncated: {error}. "
            f"Fetch it again from {URL}"
        ) from error
    if missing:
        raise ValueError(
            f"The archive {str(path)!r} must hold posts of all 16 newsgroups, "
            f"as 20news-bydate-train/GROUP/NUMBER. Missing: {sorted(missing)}. "
            f"Fetch it again from {URL}"
        )


def _safe_parts(member, path):
    """Returns the parts of a member's path, or raises on one to distrust."""
    # Windows' rules know both kinds of slashes, and drives.
    name = PureWindowsPath(member.name)
    if not (member.isfile() or member.isdir()):
        problem = "is neither a file nor a directory"
    elif name.anchor:
        problem = "has an absolute path"
    elif ".." in name.parts:
        problem = "has a path with '..'"
    else:
        return name.parts
    raise ValueError(
        f"The archive {str(path)!r} is refused: its member {member.name!r} "
        f"{problem}. Use the archive from {URL}"
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
