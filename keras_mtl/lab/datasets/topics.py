"""Topics: 16 newsgroups as four tasks of four classes each."""

import dataclasses

import numpy as np
import tensorflow_datasets as tfds

from keras_mtl.checks import above, integer
from keras_mtl.data.stratify import stratified_split
from keras_mtl.lab.datasets.archives import manual_archive, prepared
from keras_mtl.lab.datasets.newsgroups import (
    GROUPS,
    TASK_GROUPS,
    URL,
    read_posts,
)

ARCHIVES = ("20news-bydate.tar.xz", "20news-bydate.tar.gz")


@dataclasses.dataclass
class TopicsConfig(tfds.core.BuilderConfig):
    """Whether the posts of a `Topics` data set keep their header lines."""

    headers: bool = True


class Topics(tfds.core.GeneratorBasedBuilder):
    """20 Newsgroups as the tasks comp, rec, sci and talk.

    The splits are those by date of the source. The posts are whole by default;
    the config `no_headers` leaves out the header lines (From, Subject,
    Organization, ...), which give away more than the text does.

    Example:

    >>> train = tfds.load("topics", split="train")
    >>> train = tfds.load("topics/no_headers", split="train")

    Reference:
        - [20 Newsgroups](http://qwone.com/~jason/20Newsgroups/)
        - [Mao et al., 2022](https://aclanthology.org/2022.findings-acl.271/),
          Table 1
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    BUILDER_CONFIGS = [
        TopicsConfig(name="whole", description="Posts as they are."),
        TopicsConfig(
            name="no_headers",
            description="Posts without header lines.",
            headers=False,
        ),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Optional. The archive is downloaded unless the folder holds "
        f"{' or '.join(ARCHIVES)}."
    )

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description="16 newsgroups as four tasks of four classes each.",
            features=tfds.features.FeaturesDict(
                {
                    "text": tfds.features.Text(),
                    "task": tfds.features.ClassLabel(names=list(TASK_GROUPS)),
                    "label": tfds.features.ClassLabel(num_classes=4),
                    "group": tfds.features.ClassLabel(names=list(GROUPS)),
                }
            ),
            homepage="http://qwone.com/~jason/20Newsgroups/",
        )

    def _split_generators(self, dl_manager):
        archive = manual_archive(dl_manager, ARCHIVES)
        archive = archive or dl_manager.download(URL)
        return {
            split: self._generate_examples(archive, split)
            for split in ("train", "test")
        }

    def _generate_examples(self, archive, split):
        for post in read_posts(archive, self.builder_config.headers):
            if post.split == split:
                yield (
                    f"{post.group}/{post.number}",
                    {
                        "text": post.text,
                        "task": post.task,
                        "label": post.label,
                        "group": post.group,
                    },
                )


def three_shares(split) -> tuple[float, float, float]:
    """Returns the shares of training, validation and test sets, or raises."""
    given = split if isinstance(split, list | tuple) else ()
    shares = tuple(above("split", share, 0.0) for share in given)
    if len(shares) != 3 or abs(sum(shares) - 1.0) > 1e-6:
        raise ValueError(
            "Argument `split` must be three shares that sum to 1, of the "
            f"training, validation and test sets. Received: split={split!r}"
        )
    return shares


def load_topics(data=None, split=(0.6, 0.2, 0.2), seed=0, headers=True):
    """Splits the posts of the four tasks at random into three sets.

    The posts of both splits by date are pooled, and every group keeps its
    share in each set.

    Example:

    >>> topics = load_topics("20news-bydate.tar.gz")
    >>> texts, labels = topics["train"]["comp"]

    Args:
        data: String, the path of the `20news-bydate` archive; or None, to
            download and prepare `Topics` through TensorFlow Datasets.
        split: Three floats above 0 that sum to 1, the shares of the training,
            validation and test sets.
        seed: Integer. The same seed gives the same sets, wherever the posts
            come from.
        headers: Boolean. Whether to keep the posts' header lines.

    Returns:
        `{"train": {task: (texts, labels)}, "validation": ..., "test": ...}`:
        `(n,)` string objects and `(n,)` int32 labels from 0 to 3, the groups in
        the order of `keras_mtl.lab.datasets.newsgroups.TASK_GROUPS`.

    Raises:
        ValueError: If `split` or `seed` is out of range, or the archive is
            damaged or not to be trusted.
    """
    shares = three_shares(split)
    rng = np.random.default_rng(integer("seed", seed, 0))
    posts = _prepared(headers) if data is None else _read(data, headers)
    sets = {"train": {}, "validation": {}, "test": {}}
    for task, groups in TASK_GROUPS.items():
        # Sorted, since archives and prepared files differ in their order.
        rows = sorted(
            (groups.index(g), text) for g, text in posts if g in groups
        )
        labels = np.array([label for label, _ in rows], "int32")
        texts = np.array([text for _, text in rows], object)
        train, rest = stratified_split(labels, shares[1] + shares[2], rng)
        share_of_rest = shares[2] / (shares[1] + shares[2])
        validation, test = stratified_split(labels[rest], share_of_rest, rng)
        for name, own in zip(
            sets, (train, rest[validation], rest[test]), strict=True
        ):
            sets[name][task] = texts[own], labels[own]
    return sets


def _read(path, headers):
    """Returns `[(group, text)]` from an archive."""
    return [(post.group, post.text) for post in read_posts(path, headers)]


def _prepared(headers):
    """Returns `[(group, text)]` from TFDS, which downloads where needed."""
    config = "whole" if headers else "no_headers"
    builder = prepared(lambda: Topics(config=config))
    return [
        (GROUPS[row["group"]], row["text"].decode())
        for split in ("train", "test")
        for row in tfds.as_numpy(builder.as_dataset(split=split))
    ]
