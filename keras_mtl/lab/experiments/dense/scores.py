"""Scores of segmentation, depth and normals over a whole set of pictures."""

import numpy as np

# SLAW's measure of each task, the first; then those that LibMTL reports.
HIGHER_IS_BETTER = {
    "segmentation": {"accuracy": True, "mean_iou": True},
    "depth": {
        "within_1.25": True,
        "absolute_error": False,
        "relative_error": False,
    },
    "normals": {
        "within_11.25": True,
        "within_22.5": True,
        "within_30": True,
        "mean_angle": False,
        "median_angle": False,
    },
}


class DenseScores:
    """Sums over pictures, from which the scores of a set follow exactly.

    Args:
        num_classes: Integer.
    """

    def __init__(self, num_classes):
        self._confusion = np.zeros((num_classes, num_classes), "int64")
        self._depth = np.zeros(4)
        self._angles = []

    def add(self, task, labels, predictions, present):
        """Adds pictures of one task.

        Args:
            task: `"segmentation"`, `"depth"` or `"normals"`.
            labels: `(n, H, W)` classes, `(n, H, W, 1)` metres, or
                `(n, H, W, 3)` vectors.
            predictions: `(n, H, W, C)` logits, or of the shape of labels.
            present: `(n, H, W)` booleans, whether a pixel has a label.
        """
        of_task = {
            "segmentation": self._add_classes,
            "depth": self._add_depths,
            "normals": self._add_normals,
        }
        of_task[task](labels[present], predictions[present])

    def _add_classes(self, labels, logits):
        number = len(self._confusion)
        both = labels.astype("int64") * number + np.argmax(logits, axis=-1)
        counts = np.bincount(both, minlength=number * number)
        self._confusion += counts.reshape(number, number)

    def _add_depths(self, labels, depths):
        labels, depths = (part.astype("float64") for part in (labels, depths))
        errors = np.abs(depths - labels)
        with np.errstate(divide="ignore", invalid="ignore"):
            worse = np.maximum(depths / labels, labels / depths)
        within = (worse < 1.25) & (depths > 0.0)
        sums = within.sum(), errors.sum(), (errors / labels).sum()
        self._depth += [*sums, labels.size]

    def _add_normals(self, labels, normals):
        labels, normals = (part.astype("float64") for part in (labels, normals))
        lengths = np.linalg.norm(normals, axis=-1)
        lengths *= np.linalg.norm(labels, axis=-1)
        cosines = np.sum(labels * normals, axis=-1) / np.maximum(lengths, 1e-12)
        angles = np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))
        if angles.size:
            self._angles.append(angles.astype("float32"))

    def result(self) -> dict:
        """Returns `{task: {metric: value}}`, of the tasks that were added.

        Shares are from 0 to 1, depths in metres, angles in degrees. The mean
        IoU is over the classes that occur, among labels or predictions.
        """
        scores = {}
        if self._confusion.any():
            right = np.diag(self._confusion)
            either = self._confusion.sum(0) + self._confusion.sum(1) - right
            ious = right[either > 0] / either[either > 0]
            accuracy = right.sum() / self._confusion.sum()
            scores["segmentation"] = [accuracy, np.mean(ious)]
        if self._depth[3]:
            scores["depth"] = self._depth[:3] / self._depth[3]
        if self._angles:
            angles = np.concatenate(self._angles)
            scores["normals"] = [
                *(np.mean(angles < limit) for limit in (11.25, 22.5, 30.0)),
                np.mean(angles, dtype="float64"),
                np.median(angles),
            ]
        return {
            task: dict(
                zip(HIGHER_IS_BETTER[task], map(float, values), strict=True)
            )
            for task, values in scores.items()
        }


def constant_predictions(y, present, num_classes) -> dict:
    """Returns what is best said of each pixel without looking.

    The most frequent class, the mean depth and the mean normal of each pixel
    over the pictures; 0 where none has a label.

    Args:
        y: Labels by task, arrays of n pictures.
        present: `{task: (n, H, W)}` booleans.
        num_classes: Integer.

    Returns:
        `{task: (1, H, W, ...)}`.
    """
    constant = {}
    for task, labels in y.items():
        if task == "segmentation":
            counts = [
                np.sum((labels == c) & present[task], axis=0)
                for c in range(num_classes)
            ]
            constant[task] = np.stack(counts, axis=-1)[None]
            continue
        number = present[task].sum(axis=0)[..., None]
        total = np.sum(labels * present[task][..., None], axis=0)
        constant[task] = (total / np.maximum(number, 1))[None]
    return constant
