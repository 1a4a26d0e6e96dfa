"""Sentiment: Amazon reviews of 14 domains, each a task of two classes."""

import numpy as np
import tensorflow_datasets as tfds

from keras_mtl.checks import fraction, integer
from keras_mtl.data.stratify import stratified_split
from keras_mtl.lab.datasets.archives import manual_archive, prepared
from keras_mtl.lab.datasets.reviews import (
    DOMAINS,
    FILES,
    SPLITS,
    URL,
    read_reviews,
)

ARCHIVES = ("fdu_mtl.tar.xz", "fdu_mtl.tar.gz", "fudan-mtl-dataset.tar.gz")


class Sentiment(tfds.core.GeneratorBasedBuilder):
    """The 14 Amazon domains of FDU-MTL: is a review positive?

    The splits are those of the source, about 1,600 reviews of each domain to
    train on and 400 to test.

    Example:

    >>> train = tfds.load("sentiment", split="train")

    Reference:
        - [Liu et al., 2017](https://aclanthology.org/P17-1001)
        - [Chen and Cardie, 2018](https://aclanthology.org/N18-1111), whose
          copy of the files is downloaded
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Optional. The files are downloaded unless the folder holds "
        f"{' or '.join(ARCHIVES)}."
    )

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description="Amazon reviews of 14 domains, positive or negative.",
            features=tfds.features.FeaturesDict(
                {
                    "text": tfds.features.Text(),
                    "task": tfds.features.ClassLabel(names=list(DOMAINS)),
                    "label": tfds.features.ClassLabel(
                        names=["negative", "positive"]
                    ),
                }
            ),
            homepage="https://aclanthology.org/P17-1001",
        )

    def _split_generators(self, dl_manager):
        source = manual_archive(dl_manager, ARCHIVES)
        source = source or dl_manager.download({f: URL + f for f in FILES})
        return {
            split: self._generate_examples(source, split) for split in SPLITS
        }

    def _generate_examples(self, source, split):
        for review in read_reviews(source):
            if review.split == split:
                yield (
                    f"{review.domain}/{review.number}",
                    {
                        "text": review.text,
                        "task": review.domain,
                        "label": review.label,
                    },
                )


def load_sentiment(data=None, validation=0.125, seed=0, repeats=True):
    """Reads the reviews, and takes validation sets out of the training sets.

    The test sets are those of the source. Both classes keep their shares in
    the validation sets. In the source, one review in twelve of the test sets
    stands in a training set, too, and published results include these.

    Example:

    >>> sentiment = load_sentiment("fdu_mtl.tar.xz")
    >>> texts, labels = sentiment["train"]["books"]

    Args:
        data: String, the path of an archive of the FDU-MTL files; or None, to
            download and prepare `Sentiment` through TensorFlow Datasets.
        validation: Float between 0 and 1, share of each domain's training
            reviews; by default 200 of about 1,600, as Liu et al., 2017.
        seed: Integer. The same seed gives the same sets, wherever the reviews
            come from.
        repeats: Boolean, whether training sets are those of the source. If
            not, reviews that stand in any test set are left out, and a domain
            has each review once.

    Returns:
        `{"train": {task: (texts, labels)}, "validation": ..., "test": ...}`:
        `(n,)` string objects and `(n,)` int32 labels, 1 for a positive review.
        The tasks are `keras_mtl.lab.datasets.reviews.DOMAINS`.

    Raises:
        ValueError: If `validation` or `seed` is out of range, the archive is
            damaged or not to be trusted, or a domain has no reviews of both
            classes without repeats.
    """
    share = fraction("validation", validation)
    rng = np.random.default_rng(integer("seed", seed, 0))
    given = _prepared() if data is None else _read(data)
    train = given["train"] if repeats else _without_repeats(given)
    sets = {"train": {}, "validation": {}, "test": given["test"]}
    for task, (texts, labels) in train.items():
        rest, taken = stratified_split(labels, share, rng)
        for name, rows in (("train", rest), ("validation", taken)):
            sets[name][task] = texts[rows], labels[rows]
    return sets


def _without_repeats(given):
    """Returns the training sets without texts of test sets, each text once."""
    tested = {text for texts, _ in given["test"].values() for text in texts}
    train = {}
    for task, (texts, labels) in given["train"].items():
        first = {text: row for row, text in reversed([*enumerate(texts)])}
        rows = sorted(row for text, row in first.items() if text not in tested)
        if len(set(labels[rows])) < 2:
            raise ValueError(
                f"Without repeats, the domain {task!r} must have training "
                "reviews of both classes that stand in no test set. Received: "
                f"{len(rows)} such reviews. Pass repeats=True."
            )
        train[task] = texts[rows], labels[rows]
    return train


def _read(path):
    reviews = read_reviews(path)
    return _by_task((r.split, r.domain, r.label, r.text) for r in reviews)


def _prepared():
    """Reads from TFDS, which downloads where needed."""
    builder = prepared(Sentiment)
    return _by_task(
        (split, DOMAINS[row["task"]], int(row["label"]), row["text"].decode())
        for split in SPLITS
        for row in tfds.as_numpy(builder.as_dataset(split=split))
    )


def _by_task(reviews):
    """Returns `{split: {task: (texts, labels)}}`."""
    rows = {split: {domain: [] for domain in DOMAINS} for split in SPLITS}
    for split, domain, label, text in reviews:
        rows[split][domain].append((label, text))

    def arrays(pairs):
        # Sorted, since archives and prepared files differ in their order.
        labels, texts = zip(*sorted(pairs), strict=True)
        return np.array(texts, object), np.array(labels, "int32")

    return {
        split: {domain: arrays(pairs) for domain, pairs in tasks.items()}
        for split, tasks in rows.items()
    }
