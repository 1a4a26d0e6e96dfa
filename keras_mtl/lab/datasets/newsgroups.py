"""Reads posts from a 20 Newsgroups archive, without unpacking it."""

from typing import NamedTuple

from keras_mtl.lab.datasets.archives import read_members

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
        ValueError: If the archive is damaged or not to be trusted, as
            `read_members` says, or lacks one of the 16 groups in one of the
            splits.
    """
    missing = {
        (split, group) for split in SPLIT_FOLDERS.values() for group in _PLACES
    }

    def wanted(parts):
        return (
            len(parts) >= 3
            and parts[-3] in SPLIT_FOLDERS
            and parts[-2] in _PLACES
        )

    for parts, content in read_members(path, wanted, URL):
        folder, group, number = parts[-3:]
        split, text = SPLIT_FOLDERS[folder], content.decode("latin-1")
        if not headers:
            text = text.partition("\n\n")[2]
        missing.discard((split, group))
        yield Post(split, group, *_PLACES[group], number, text)
    if missing:
        raise ValueError(
            f"The archive {str(path)!r} must hold posts of all 16 newsgroups, "
            f"as 20news-bydate-train/GROUP/NUMBER. Missing: {sorted(missing)}. "
            f"Fetch it again from {URL}"
        )
