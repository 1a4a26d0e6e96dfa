"""Census: what a person earns, and whether they married, from a survey."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_mtl import MultiTaskModel
from keras_mtl.checks import one_of
from keras_mtl.datasets.census import CATEGORICAL, LABELS, load_census
from keras_mtl.datasets.census_files import NUMERIC
from keras_mtl.experiments.experiment import Experiment, Parts, Score
from keras_mtl.experiments.mixtures import ARCHITECTURES, encoder, head
from keras_mtl.layers import OneHotColumns
from keras_mtl.metrics import roc_auc

TOWER = 8
# Rows that the preprocessing reads at once.
CHUNK = 16_384
THRESHOLDS = 1_000


class Columns(NamedTuple):
    """How raw columns become inputs of a model.

    Attributes:
        preprocessing: Keras model from raw columns to `{"categories": (B, C)
            int32, "numbers": (B, N) float32}`.
        sizes: Tuple, categories of each of the C columns.
    """

    preprocessing: keras.Model
    sizes: tuple


@dataclasses.dataclass(frozen=True, kw_only=True)
class CensusExperiment(Experiment):
    """Census-Income (KDD), as in the papers of MMoE and PLE.

    Every architecture has about as many parameters as MMoE with 8 experts of
    16 units, except PLE, whose gates read fewer experts.

    Args:
        data: Path of a folder or archive with the files, as for `load_census`;
            by default those of the package of the extra `census`.
        architecture: String, `"shared_bottom"`, `"mmoe"`, `"ple"` or
            `"cross_stitch"`.
        **kwargs: As in `Experiment`.
    """

    name = "census"
    all_tasks = tuple(LABELS)
    score = Score("test_auc", "test AUC")
    monitor = "auc"
    architectures: ClassVar[tuple] = ARCHITECTURES

    epochs: int = 3
    batch_size: int = 1_024
    data: Path | None = None
    architecture: str = "shared_bottom"

    def __post_init__(self):
        one_of("architecture", self.architecture, ARCHITECTURES)
        if self.data is not None and not Path(self.data).exists():
            raise ValueError(
                "Argument `data` must be the path of a folder or archive. "
                f"Received: data='{self.data}', which is none."
            )
        self._set(data=None if self.data is None else Path(self.data))
        super().__post_init__()

    def load(self):
        """Reads the rows, and turns them into categories and numbers."""
        sets = load_census(self.data)
        columns = make_columns(sets["train"][0])
        parts = {
            name: (preprocessed(columns.preprocessing, x), _columns_of(y))
            for name, (x, y) in sets.items()
        }
        return Parts(**parts, prepared=columns)

    def build(self, parts):
        """Returns the encoder on zeros and ones, and two layers a task."""
        tasks, sizes = [*parts.train[1]], parts.prepared.sizes
        return MultiTaskModel(
            encoder(
                self.architecture,
                tasks,
                sum(sizes) + len(NUMERIC),
                tower=TOWER,
                bottom=wide(sizes, len(NUMERIC)),
            ),
            {task: head(task, TOWER, "sigmoid") for task in tasks},
        )

    def compile(self, model):
        """Compiles with Adam, cross entropies and AUC."""
        model.compile(
            keras.optimizers.Adam(self.learning_rate),
            loss="binary_crossentropy",
            metrics={
                task: [keras.metrics.AUC(THRESHOLDS, name="auc")]
                for task in model.task_names
            },
            weighter=self.make_weighter(),
            # To compile takes longer than to train.
            jit_compile=False,
        )

    def evaluate(self, model, parts, task_weights):
        """Returns the exact AUC of each task on the test rows, and the mean."""
        x, y = parts.test
        found = model.predict(x, batch_size=CHUNK, verbose=0)
        by_task = {
            task: float(roc_auc(labels, found[task])[0])
            for task, labels in y.items()
        }
        return {
            "test_auc": float(np.mean([*by_task.values()])),
            "test_auc_by_task": by_task,
        }

    def export(self, model, parts, folder):
        """Writes `served/`, a SavedModel that takes raw columns."""
        model.export(
            str(folder / "served"),
            preprocessing=parts.prepared.preprocessing,
            verbose=False,
        )

    def config(self) -> dict[str, Any]:
        """Returns all that decides the result, for JSON."""
        # Every copy of the files has the same content.
        return {**super().config(), "data": None}


def make_columns(x) -> Columns:
    """Returns the preprocessing that training rows call for.

    Categories are numbered from 1, in the order of their names; one that the
    training rows do not have is 0. Numbers are moved and scaled to a mean of
    0 and a deviation of 1.

    Args:
        x: Dict from column to `(n,)`, as `load_census` returns it.
    """
    inputs = {
        name: keras.Input((), name=name, dtype="string") for name in CATEGORICAL
    }
    inputs |= {name: keras.Input((), name=name) for name in NUMERIC}
    categories, sizes = [], []
    for name in CATEGORICAL:
        known = sorted(set(x[name].tolist()))
        lookup = keras.layers.StringLookup(vocabulary=known, name=f"of_{name}")
        categories.append(keras.ops.cast(lookup(inputs[name]), "int32"))
        sizes.append(len(known))
    numbers = np.stack([x[name] for name in NUMERIC], axis=1).astype("float64")
    scaled = keras.layers.Normalization(
        mean=numbers.mean(axis=0), variance=numbers.var(axis=0), name="scaled"
    )
    outputs = {
        "categories": keras.ops.stack(categories, axis=1),
        "numbers": scaled(
            keras.ops.stack([inputs[name] for name in NUMERIC], axis=1)
        ),
    }
    model = keras.Model(inputs, outputs, name="preprocessing")
    return Columns(model, tuple(sizes))


def preprocessed(preprocessing, x):
    """Returns what a model makes of raw columns, as arrays.

    Args:
        preprocessing: Keras model from a dict of columns.
        x: Dict from column to `(n,)`.
    """
    signature = {
        name: tf.TensorSpec(
            (None,), tf.string if v.dtype == object else v.dtype
        )
        for name, v in x.items()
    }
    call = tf.function(preprocessing.call, input_signature=[signature])
    num_rows = len(next(iter(x.values())))
    chunks = [
        call({n: tf.constant(v[start : start + CHUNK]) for n, v in x.items()})
        for start in range(0, num_rows, CHUNK)
    ]
    return {
        name: np.concatenate([chunk[name].numpy() for chunk in chunks])
        for name in chunks[0]
    }


def wide(sizes, num_numbers):
    """Returns a model of categories as zeros and ones, beside the numbers.

    Args:
        sizes: Tuple of integers, categories of each column.
        num_numbers: Integer, columns of numbers.
    """
    inputs = {
        "categories": keras.Input(
            (len(sizes),), dtype="int32", name="categories"
        ),
        "numbers": keras.Input((num_numbers,), name="numbers"),
    }
    ones = OneHotColumns(sizes, name="one_hot")(inputs["categories"])
    row = keras.layers.Concatenate(name="row")([ones, inputs["numbers"]])
    return keras.Model(inputs, row, name="wide")


def _columns_of(labels):
    return {task: own[:, None] for task, own in labels.items()}
