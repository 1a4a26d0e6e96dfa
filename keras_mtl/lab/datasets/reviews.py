"""Reads Amazon reviews of the FDU-MTL files, packed or not."""

from typing import NamedTuple

import tensorflow as tf

from keras_mtl.lab.datasets.archives import read_members

# The copy of Chen and Cardie, 2018, at one commit, so that checksums last.
URL = (
    "https://raw.githubusercontent.com/ccsasuke/man/"
    "7ac8140b0bb561ac256cea439116b0d59bed5684/data/fdu-mtl/"
)
DOMAINS = (
    "apparel",
    "baby",
    "books",
    "camera_photo",
    "dvd",
    "electronics",
    "health_personal_care",
    "kitchen_housewares",
    "magazines",
    "music",
    "software",
    "sports_outdoors",
    "toys_games",
    "video",
)
SPLITS = ("train", "test")
_PLACES = {
    f"{domain}.task.{split}": (domain, split)
    for domain in DOMAINS
    for split in SPLITS
}
FILES = tuple(_PLACES)


class Review(NamedTuple):
    """One review.

    Attributes:
        split: "train" or "test".
        domain: What was reviewed, one of `DOMAINS`.
        number: Integer, the line in the file, from 1.
        label: 1 for a positive review, else 0.
        text: The review, in lower case, tokens apart by spaces.
    """

    split: str
    domain: str
    number: int
    label: int
    text: str


def read_reviews(source):
    """Yields the reviews of the 14 domains that Amazon's customers wrote.

    Args:
        source: String, the path of an archive (tar, plain or compressed) with
            a file `DOMAIN.task.SPLIT` for each domain and split; or a dict
            from these files' names to their paths.

    Yields:
        `Review`, file by file.

    Raises:
        ValueError: If the archive is damaged or not to be trusted, as
            `read_members` says, or a file is missing, has a broken line or
            reviews of one class only; the message names file and line.
    """
    seen = set()
    for name, content in _contents(source):
        if name in seen:
            raise ValueError(
                f"{str(source)!r} must hold the file {name!r} once. Received: "
                f"another of that name. Use the files from {URL}"
            )
        seen.add(name)
        yield from _parse(name, content, source)
    missing = [name for name in FILES if name not in seen]
    if missing:
        raise ValueError(
            f"{str(source)!r} must hold the reviews of all {len(DOMAINS)} "
            "domains, as DOMAIN.task.train and DOMAIN.task.test. Missing: "
            f"{missing}. Fetch them again from {URL}"
        )


def _contents(source):
    """Yields `(name, bytes)` of the files of the 14 domains."""
    if not isinstance(source, dict):

        def wanted(parts):
            return bool(parts) and parts[-1] in FILES

        members = read_members(source, wanted, URL)
        yield from ((parts[-1], content) for parts, content in members)
        return
    for name, path in source.items():
        with tf.io.gfile.GFile(path, "rb") as file:
            yield name, file.read()


def _parse(name, content, source):
    domain, split = _PLACES[name]
    labels = set()
    place = name if isinstance(source, dict) else f"{name}' in '{source}"
    # Other line ends that Python knows stand within reviews.
    lines = content.decode("latin-1").removesuffix("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        label, tab, text = line.partition("\t")
        if label not in ("0", "1") or not tab:
            raise ValueError(
                f"Line {number} of '{place}' must hold the label 0 or 1, a tab "
                f"and a review. Received: {line[:60]!r}. Fetch it again from "
                f"{URL}"
            )
        labels.add(label)
        yield Review(split, domain, number, int(label), text)
    if len(labels) == 1:
        raise ValueError(
            f"The file '{place}' must hold reviews of both classes, 0 and 1. "
            f"Received: {len(lines)} reviews of class {labels.pop()} only. "
            f"Fetch it again from {URL}"
        )
