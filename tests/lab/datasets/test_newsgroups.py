import tarfile
from collections import Counter

import pytest

from keras_mtl.lab.datasets.newsgroups import TASK_GROUPS, URL, read_posts


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz"])
def test_posts_are_read_with_their_place(tmp_path, write_archive, suffix):
    path = write_archive(tmp_path / f"news{suffix}", num_posts=2)
    posts = list(read_posts(path))
    assert len(posts) == 2 * 16 * 2
    assert Counter(post.split for post in posts) == {"train": 32, "test": 32}
    for post in posts:
        assert TASK_GROUPS[post.task][post.label] == post.group
        assert post.text == (
            f"From: né\nSubject: {post.group}\n\n"
            f"{post.split} {post.group} {post.number}\n\nbye\n"
        )


def test_headers_end_at_the_first_blank_line(tmp_path, write_archive):
    path = write_archive(tmp_path / "news.tar.gz", num_posts=1)
    post = next(read_posts(path, headers=False))
    assert post.text == f"train {post.group} 0\n\nbye\n"


def hostile(name, kind=tarfile.REGTYPE):
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = "/etc/passwd"
    return member


@pytest.mark.parametrize(
    ("member", "problem"),
    [
        (hostile("/etc/passwd"), "has an absolute path"),
        (hostile("C:\\windows\\x"), "has an absolute path"),
        (hostile("20news-bydate-train/../../x"), "has a path with '..'"),
        (hostile("a\\..\\..\\x"), "has a path with '..'"),
        (
            hostile("20news-bydate-train/sci.med/1", tarfile.SYMTYPE),
            "is neither a file nor a directory",
        ),
        (hostile("x", tarfile.LNKTYPE), "is neither a file nor a directory"),
        (hostile("x", tarfile.CHRTYPE), "is neither a file nor a directory"),
        (hostile("x", tarfile.BLKTYPE), "is neither a file nor a directory"),
        (hostile("x", tarfile.FIFOTYPE), "is neither a file nor a directory"),
    ],
)
def test_hostile_members_are_refused(tmp_path, write_archive, member, problem):
    path = write_archive(tmp_path / "news.tar.gz", 1, extra=[member])
    with pytest.raises(ValueError) as error:
        list(read_posts(path))
    assert str(error.value) == (
        f"The archive {str(path)!r} is refused: its member {member.name!r} "
        f"{problem}. Use the archive from {URL}"
    )
    assert [file.name for file in tmp_path.iterdir()] == ["news.tar.gz"]


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, "last byte"])
def test_truncated_archives_are_refused(tmp_path, write_archive, suffix, share):
    path = write_archive(tmp_path / f"news{suffix}", num_posts=3)
    content = path.read_bytes()
    if suffix == ".tar":
        # Behind the posts are only zeros: cut them too.
        content = content.rstrip(b"\0")
    size = len(content) - 1 if share == "last byte" else len(content) * share
    path.write_bytes(content[: int(size)])
    with pytest.raises(ValueError, match="is damaged or truncated"):
        list(read_posts(path))


def test_archive_cut_between_members_is_refused(tmp_path, write_archive):
    path = write_archive(tmp_path / "news.tar", num_posts=3)
    with tarfile.open(path) as archive:
        start = archive.getmembers()[-2].offset
    path.write_bytes(path.read_bytes()[:start])
    with pytest.raises(ValueError, match="no end-of-archive mark"):
        list(read_posts(path))


def test_damaged_header_is_refused(tmp_path, write_archive):
    path = write_archive(tmp_path / "news.tar", num_posts=3)
    with tarfile.open(path) as archive:
        start = archive.getmembers()[-2].offset
    content = bytearray(path.read_bytes())
    content[start + 148 : start + 156] = b"damaged!"
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="no end-of-archive mark"):
        list(read_posts(path))


def test_file_that_is_no_archive_is_refused(tmp_path):
    path = tmp_path / "news.tar.gz"
    path.write_text("<html>Not found</html>" * 100)
    with pytest.raises(ValueError, match="is damaged or truncated"):
        list(read_posts(path))


def test_missing_group_is_named(tmp_path, write_archive):
    groups = [g for names in TASK_GROUPS.values() for g in names]
    groups.remove("sci.med")
    path = write_archive(tmp_path / "news.tar.gz", 1, groups=groups)
    with pytest.raises(ValueError) as error:
        list(read_posts(path))
    assert "must hold posts of all 16 newsgroups" in str(error.value)
    assert "[('test', 'sci.med'), ('train', 'sci.med')]" in str(error.value)
