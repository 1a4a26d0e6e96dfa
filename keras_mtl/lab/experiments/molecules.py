"""Virtual screening: which molecules are active in which of many assays."""

import dataclasses
import math
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from keras_mtl import MultiTaskModel
from keras_mtl.callbacks import RankingMetrics
from keras_mtl.checks import fraction, integer, one_of
from keras_mtl.lab.datasets.molecules import MISSING, load_molecules
from keras_mtl.lab.experiments.experiment import LATER, Experiment, existing
from keras_mtl.lab.experiments.mixtures import around
from keras_mtl.lab.experiments.parts import Parts, Score
from keras_mtl.layers import StackedHeads, UnpackBits
from keras_mtl.metrics import average_precision, roc_auc

ORDERS = ("file", "labels")
BALANCES = ("global", "task", "none")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PCBAExperiment(Experiment):
    """Section 4.3 of Crawshaw and Kosecka, 2021: 128 assays of PubChem.

    Molecules are fingerprints (ECFP8, 2,048 bits); the network is 2000, 100
    and a unit for each task. A loss counts active and inactive molecules
    inversely to how many there are, divided by the weights' sum.

    Args:
        data: Path of `pcba.csv.gz` of MoleculeNet, or of a table like it.
        num_tasks: Integer, the first so many tasks are trained.
        data_tasks: Integer: molecules with a label in the first so many tasks
            count, whatever `num_tasks` is, or None for all.
        task_order: String, `"file"`, or `"labels"` for the tasks with the most
            labels first.
        radius: Integer, of the fingerprints.
        architecture: String, `"shared_bottom"`; or `"mmoe"`, with experts
            like its last layer.
        balance: String: weights of the two classes by their numbers over all
            tasks (`"global"`), in each (`"task"`), or none.
        validation: Float in (0, 1), share of the training rows whose average
            precision is in the history, or None.
        **kwargs: As in `Experiment`.
    """

    name = "pcba"
    single_tasks = False
    # Of those that give stacked heads one tensor.
    architectures: ClassVar[tuple] = ("shared_bottom", "mmoe")
    score: ClassVar = Score("test_ap", "average precision", "%", 100.0)
    weighter_defaults: ClassVar = {
        "gradnorm": {"asymmetry": 0.12, "learning_rate": 0.025}
    }

    epochs: int = 100
    batch_size: int = 512
    learning_rate: float = 3e-4
    data: Any = None
    num_tasks: int = 128
    data_tasks: int | None = 32
    task_order: str = "file"
    radius: int = 4
    balance: str = "global"
    validation: float | None = None
    architecture: str = dataclasses.field(
        default="shared_bottom", metadata=LATER
    )

    def __post_init__(self):
        super().__post_init__()
        self._set(
            data=existing("data", self.data),
            num_tasks=integer("num_tasks", self.num_tasks, 2),
            radius=integer("radius", self.radius, 0),
        )
        one_of("task_order", self.task_order, ORDERS)
        one_of("balance", self.balance, BALANCES)
        one_of("architecture", self.architecture, self.architectures)
        if self.data_tasks is not None:
            integer("data_tasks", self.data_tasks, 1)
        if self.validation is not None:
            fraction("validation", self.validation)
        if self.tasks is not None:
            raise ValueError(
                "The tasks of molecules are stacked and not trained alone. "
                "Leave out `tasks` and the method 'stl', and set `num_tasks`."
            )

    @property
    def has_validation(self):
        """Whether training rows are held out."""
        return self.validation is not None

    def load(self):
        """Reads the table; a tenth of the molecules is for the test."""
        if self.data is None:
            raise ValueError(
                f"The experiment {self.name!r} reads a table of MoleculeNet. "
                "Pass --data pcba.csv.gz."
            )
        found = load_molecules(self.data, self.radius)
        known = found.labels != MISSING
        order = np.arange(known.shape[1])
        if self.task_order == "labels":
            order = np.argsort(-known.sum(axis=0), kind="stable")
        if self.num_tasks > len(order):
            raise ValueError(
                f"{Path(self.data).name} has {len(order)} tasks. Received: "
                f"num_tasks={self.num_tasks}"
            )
        rows = known[:, order[: self.data_tasks]].any(axis=1)
        order = order[: self.num_tasks]
        x, labels = found.fingerprints[rows], found.labels[rows][:, order]
        if len(x) < 10:
            raise ValueError(
                f"{Path(self.data).name} has {len(x)} molecules with a label "
                "in the tasks that count, and 10 are needed for one to test "
                f"on. No molecule: {list(found.refused[:5])}"
            )
        shuffled = np.random.default_rng(self.seed).permutation(len(x))
        ends = [len(x) // 10]
        if self.validation is not None:
            ends.append(ends[0] + int(self.validation * (len(x) - ends[0])))
        test, *held_out, train = np.split(shuffled, ends)
        weigh = _class_weights(labels[train], self.balance)
        sets = [
            (
                x[part],
                (labels[part] == 1).astype("float32"),
                weigh(labels[part]),
            )
            for part in (train, test, *held_out)
        ]
        facts = {
            "molecules": len(x),
            "no_molecule": len(found.refused),
            "no_molecule_texts": list(found.refused),
            "training_rows": len(train),
            "training_labels": int((labels[train] != MISSING).sum()),
            "active_share": float((labels[train] == 1).sum())
            / float((labels[train] != MISSING).sum()),
        }
        names = [found.task_names[task] for task in order]
        return Parts(*sets, facts=facts, prepared=names)

    def parts(self):
        """Returns the data; labels and weights are arrays of all tasks."""
        return self.load()

    def build(self, parts):
        """Returns two layers on unpacked bits, and stacked heads."""
        wide, last = (
            keras.layers.Dense(
                units, activation="relu", kernel_initializer=_orthogonal()
            )
            for units in (2_000, 100)
        )
        bits = keras.Input((parts.train[0].shape[1],), dtype="uint8")
        layers = [bits, UnpackBits(), wide]
        if self.architecture == "shared_bottom":
            encoder = keras.Sequential([*layers, last], name="encoder")
        else:
            bottom = keras.Sequential(layers, name="bottom")
            tasks = parts.prepared
            encoder = around(self.architecture, tasks, [last], bottom)
        heads = StackedHeads(parts.prepared, kernel_initializer=_orthogonal())
        return MultiTaskModel(encoder, heads)

    def compile(self, model):
        """Compiles with Adam and the balanced cross entropy."""
        model.compile(
            keras.optimizers.Adam(
                self.learning_rate, epsilon=1e-5, global_clipnorm=0.5
            ),
            loss=keras.losses.BinaryCrossentropy(
                from_logits=True, reduction="mean_with_sample_weight"
            ),
            weighter=self.make_weighter(),
        )

    def callbacks(self, parts):
        """Returns what writes average precision and AUC into the history."""
        if parts.validation is None:
            return []
        x, y, weights = parts.validation
        return [RankingMetrics((x, y, weights), batch_size=4_096)]

    def evaluate(self, model, parts, task_weights):
        """Returns average precision (macro and micro) and AUC.

        Tasks without an active, or an inactive, test molecule are left out.
        """
        x, labels, weights = parts.test
        scores = model.predict(x, batch_size=4_096, verbose=0)
        known = (weights > 0).astype("float64")
        by_task = average_precision(labels, scores, known)
        areas = roc_auc(labels, scores, known)
        judged = np.isfinite(areas)
        names = np.array(parts.prepared)[judged]
        micro = average_precision(
            labels.reshape(-1, 1), scores.reshape(-1, 1), known.reshape(-1, 1)
        )
        return {
            "test_ap": float(by_task[judged].mean()),
            "test_ap_by_task": dict(
                zip(names.tolist(), by_task[judged].tolist(), strict=True)
            ),
            "test_micro_ap": float(micro[0]),
            "test_auc": float(areas[judged].mean()),
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class ToxCastExperiment(PCBAExperiment):
    """The same on ToxCast's 8,600 molecules and its fullest tasks.

    Args:
        **kwargs: As in `PCBAExperiment`.
    """

    name = "toxcast"

    epochs: int = 40
    data_tasks: int | None = None
    task_order: str = "labels"


def _class_weights(labels, balance):
    """Returns a function from labels to weights, by the training labels."""
    axis = 0 if balance == "task" else None
    active = (labels == 1).sum(axis=axis)
    share = active / np.maximum((labels != MISSING).sum(axis=axis), 1)

    def weigh(of):
        weights = np.where(of == 1, 1 - share, share)
        if balance == "none":
            weights = np.ones(of.shape)
        return np.where(of == MISSING, 0.0, weights).astype("float32")

    return weigh


def _orthogonal():
    return keras.initializers.Orthogonal(gain=math.sqrt(2.0))
