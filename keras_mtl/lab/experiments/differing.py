"""Makes the tasks of an experiment differ: wrong labels, and few rows."""

import dataclasses
import zlib

import numpy as np

from keras_mtl.checks import at_least, probability
from keras_mtl.data.stratify import stratified_split
from keras_mtl.lab.experiments.classification import ClassificationExperiment
from keras_mtl.lab.experiments.experiment import LATER


@dataclasses.dataclass(frozen=True, kw_only=True)
class DifferingExperiment(ClassificationExperiment):
    """Classifications, some of them harder than they are by nature.

    Args:
        label_noise: Float from 0 to 1, the probability with which a training
            row of a differing task gets a label at random.
        kept_rows: Float above 0, at most 1, share of a differing task's
            training rows that are kept.
        differing: Tuple of names, the tasks that `label_noise` and `kept_rows`
            make differ; by default every second one.
        **kwargs: As in `Experiment`.
    """

    label_noise: float = dataclasses.field(default=0.0, metadata=LATER)
    kept_rows: float = dataclasses.field(default=1.0, metadata=LATER)
    differing: tuple | None = dataclasses.field(default=None, metadata=LATER)

    def __post_init__(self):
        super().__post_init__()
        noise = probability("label_noise", self.label_noise)
        self._set(label_noise=noise)
        self._set(kept_rows=at_least("kept_rows", self.kept_rows, 0.0))
        if not 0.0 < self.kept_rows <= 1.0:
            raise ValueError(
                "Argument `kept_rows` must be above 0 and at most 1. "
                f"Received: kept_rows={self.kept_rows!r}"
            )
        if self.differing is None:
            return
        self._check_names("differing", self.differing, self.all_tasks)
        if not noise and self.kept_rows == 1.0:
            raise ValueError(
                "Argument `differing` has no effect without `label_noise` or "
                "`kept_rows`. Leave it out."
            )

    def made_to_differ(self, sets, num_classes):
        """Returns the sets of `differing_tasks`, by the settings."""
        return differing_tasks(
            sets,
            self.all_tasks[::2] if self.differing is None else self.differing,
            self.label_noise,
            self.kept_rows,
            num_classes,
            self.seed,
        )


def differing_tasks(sets, tasks, label_noise, kept_rows, num_classes, seed):
    """Spoils the training rows of some tasks; all other rows stay.

    A task's draws do not depend on the other tasks.

    Args:
        sets: `{"train": {task: (inputs, labels)}, ...}`, arrays of `n` rows;
            labels are classes from 0 on.
        tasks: Names of the tasks whose rows are changed.
        label_noise: Float from 0 to 1, the probability with which a row's
            label is replaced by one that is drawn from all classes alike.
        kept_rows: Float above 0, at most 1, the share of rows that are kept,
            of each class the same.
        num_classes: Integer.
        seed: Integer.

    Returns:
        A new dict of the same form.
    """
    train = dict(sets["train"])
    for task in tasks:
        inputs, labels = train[task]
        rng = np.random.default_rng([seed, zlib.crc32(task.encode())])
        if kept_rows < 1.0:
            kept, _ = stratified_split(labels, 1.0 - kept_rows, rng)
            inputs, labels = inputs[kept], labels[kept]
        drawn = rng.integers(0, num_classes, len(labels))
        replaced = rng.random(len(labels)) < label_noise
        labels = np.where(replaced, drawn, labels).astype(labels.dtype)
        train[task] = inputs, labels
    return {**sets, "train": train}
