"""Census: what a person earns, and whether they married, from a survey."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from keras_mtl import MultiTaskModel
from keras_mtl.checks import one_of
from keras_mtl.data.columns import CHUNK, make_columns, preprocessed
from keras_mtl.lab.datasets.census import LABELS, load_census
from keras_mtl.lab.experiments.experiment import Experiment
from keras_mtl.lab.experiments.mixtures import ARCHITECTURES, encoder, head
from keras_mtl.lab.experiments.parts import Parts, Score
from keras_mtl.metrics import roc_auc

TOWER = 8
THRESHOLDS = 1_000


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
    evaluation_batch = CHUNK
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
        tasks, columns = [*parts.train[1]], parts.prepared
        return MultiTaskModel(
            encoder(
                self.architecture,
                tasks,
                columns.width,
                tower=TOWER,
                bottom=columns.wide(),
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


def _columns_of(labels):
    return {task: own[:, None] for task, own in labels.items()}
