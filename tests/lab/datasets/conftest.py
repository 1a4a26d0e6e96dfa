"""Small archives laid out as 20 Newsgroups is, for the tests of topics."""

import io
import tarfile

import pytest

from keras_mtl.lab.datasets.newsgroups import TASK_GROUPS

GROUPS = [group for groups in TASK_GROUPS.values() for group in groups]


@pytest.fixture(scope="session")
def write_archive():
    """A function that writes an archive and returns its path."""

    def write(path, num_posts=5, extra=(), groups=GROUPS):
        compression = path.suffix[1:] if path.suffix != ".tar" else ""
        with tarfile.open(path, f"w:{compression}") as archive:
            for split in ("train", "test"):
                # A group of none of the tasks is to be passed over.
                for group in [*groups, "alt.atheism"]:
                    for number in range(num_posts):
                        _add_post(archive, split, group, number)
            for member in extra:
                archive.addfile(member, io.BytesIO(bytes(member.size)))
        return path

    return write


def _add_post(archive, split, group, number):
    name = f"20news-bydate/20news-bydate-{split}/{group}/{number}"
    # Not UTF-8: the posts of the source are Latin-1.
    text = f"From: né\nSubject: {group}\n\n{split} {group} {number}\n\nbye\n"
    member = tarfile.TarInfo(name)
    member.size = len(text)
    archive.addfile(member, io.BytesIO(text.encode("latin-1")))
