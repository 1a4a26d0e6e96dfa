"""Makes the tasks of an experiment differ: wrong labels, and few rows."""

import zlib

import numpy as np

from keras_mtl.data.stratify import stratified_split


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
