"""NYUv2: segmentation, depth and surface normals of rooms."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from keras_mtl import MultiTaskModel
from keras_mtl.checks import fraction, integer, one_of
from keras_mtl.lab.datasets.nyuv2 import CLASSES, TASKS, load_nyuv2
from keras_mtl.lab.experiments.dense import pictures
from keras_mtl.lab.experiments.dense.augmentation import scaled_and_flipped
from keras_mtl.lab.experiments.dense.encoders import (
    ARCHITECTURES,
    BACKBONES,
    dense_encoder,
    dense_head,
)
from keras_mtl.lab.experiments.dense.scores import (
    HIGHER_IS_BETTER,
    DenseScores,
    constant_predictions,
)
from keras_mtl.lab.experiments.experiment import Experiment, existing
from keras_mtl.lab.experiments.parts import Parts, Score
from keras_mtl.lab.runs.folder import PICTURE
from keras_mtl.losses import CosineDistance, ScaleInvariantLog
from keras_mtl.metrics import WithinAngle, WithinRatio

CHANNELS = {"segmentation": len(CLASSES), "depth": 1, "normals": 3}
# Convolutions of a head, and their channels; those of `resnet50` are SLAW's.
HEADS = {"small": (1, 32), "lite0": (1, 48), "resnet50": (2, 256)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class NYUv2Experiment(Experiment):
    """Table 2 of Crawshaw and Kosecka, 2021.

    Each task's score is the paper's: pixel accuracy, the share of depths less
    than a factor of 1.25 off, and of normals less than 11.25 degrees off. The
    angles are between vectors; the paper's are between their colours.

    It also takes the arguments of `Experiment`.

    Example:

    >>> NYUv2Experiment(data="nyuv2_96x128.npz", weighter="slaw", epochs=20)

    Args:
        data: Path, what `load_nyuv2` reads.
        size: Pair of integers, height and width to scale SLAW's pictures to.
        backbone: String, `"small"`, `"lite0"` or `"resnet50"`.
        backbone_weights: Path of the backbone's weights; of `lite0` as
            `efficientnet_lite0` reads them, of `resnet50` as Keras does.
        freeze: Boolean, whether the backbone stays as it was loaded.
        architecture: String, `"shared_bottom"`, `"mtan"` or `"cross_stitch"`.
        output_stride: Integer, 2 or 4: the features' pixels are that large.
        depth_loss: String, `"scale_invariant"` or `"l1"`.
        augmentation: Boolean, whether training pictures are scaled and flipped.
        validation: Float in (0, 1), share of the training pictures that choose
            the epoch; None for the last epoch, as in the paper.
        evaluation_batch: Integer, pictures of a batch that is not trained on.
        num_pictures: Integer, at most so many of each set, to try it out.
    """

    name = "nyuv2"
    all_tasks = TASKS
    score = Score("test_accuracy", "share of pixels within bounds", "%", 100.0)
    architectures: ClassVar = ARCHITECTURES
    higher_is_better: ClassVar = {
        name: better
        for of_task in HIGHER_IS_BETTER.values()
        for name, better in of_task.items()
    }
    conflict_rows = 8

    epochs: int = 20
    batch_size: int = 36
    learning_rate: float = 7e-4
    data: Any = None
    size: tuple | None = None
    backbone: str = "small"
    backbone_weights: Any = None
    freeze: bool = False
    architecture: str = "shared_bottom"
    output_stride: int = 4
    depth_loss: str = "scale_invariant"
    augmentation: bool = False
    validation: float | None = None
    evaluation_batch: int = 64
    num_pictures: int | None = None

    def __post_init__(self):
        super().__post_init__()
        self._set(
            data=_path(self.data),
            backbone_weights=existing(
                "backbone_weights", self.backbone_weights
            ),
            evaluation_batch=integer(
                "evaluation_batch", self.evaluation_batch, 1
            ),
        )
        one_of("backbone", self.backbone, BACKBONES)
        one_of("architecture", self.architecture, ARCHITECTURES)
        one_of("output_stride", self.output_stride, (2, 4))
        one_of("depth_loss", self.depth_loss, ("scale_invariant", "l1"))
        if self.validation is not None:
            fraction("validation", self.validation)
        if self.num_pictures is not None:
            integer("num_pictures", self.num_pictures, 2)
        if self.size is not None:
            self._set(size=tuple(integer("size", n, 8) for n in self.size))
        self._check_weights()

    def _check_weights(self):
        if self.backbone_weights is not None and self.backbone == "small":
            raise ValueError(
                "Argument `backbone_weights` is for 'lite0' and 'resnet50'. "
                f"Received: backbone={self.backbone!r}"
            )
        if self.freeze and self.backbone_weights is None:
            raise ValueError(
                "Argument `freeze` keeps a backbone as it was loaded. Pass "
                "`backbone_weights`, or freeze=False."
            )
        if self.architecture == "cross_stitch" and self.backbone != "small":
            raise ValueError(
                "The towers of 'cross_stitch' have blocks of their own and no "
                f"backbone. Received: backbone={self.backbone!r}. Leave it out."
            )
        if self.output_stride == 2 and (
            self.backbone == "resnet50" or self.architecture == "cross_stitch"
        ):
            raise ValueError(
                "Argument `output_stride` must be 4 for 'resnet50' and "
                "'cross_stitch'. Received: 2"
            )

    @property
    def monitor(self):
        """Name of the metric that chooses the epoch, where one does."""
        return "accuracy" if self.has_validation else None

    @property
    def has_validation(self):
        """Whether training pictures are held out."""
        return self.validation is not None

    def load(self):
        """Reads the data set; says how constant predictions score."""
        found = load_nyuv2(self.data, self.size)
        every = slice(0, self.num_pictures)
        train, test = (_rows(of, every) for of in (found.train, found.test))
        facts = {
            "normals": "derived" if found.derived else "given",
            "pictures": {"train": len(train[0]), "test": len(test[0])},
            "constants": {"constant at each pixel": _constants(train, test)},
        }
        train, validation = self._split(train)
        return Parts(train, test, validation, facts)

    def _split(self, train):
        if self.validation is None:
            return train, None
        order = np.random.default_rng(self.seed).permutation(len(train[0]))
        held = max(1, round(self.validation * len(order)))
        return [
            keras.tree.map_structure(
                lambda part, r=rows: part[np.sort(r)], train
            )
            for rows in (order[held:], order[:held])
        ]

    def augment(self, batch, seed):
        """Scales and flips pictures, where asked to."""
        return scaled_and_flipped(batch, seed) if self.augmentation else batch

    def build(self, parts):
        """Returns the encoder, and a head for each task."""
        x, y, *_ = parts.train
        shape, stride = x.shape[1:], self.output_stride
        encoder = dense_encoder(
            self.architecture,
            self.backbone,
            [*y],
            shape,
            stride,
            weights=self.backbone_weights,
            freeze=self.freeze,
        )
        convolutions, width = HEADS[self.backbone]
        last = {
            # The network predicts the logarithm.
            "depth": [keras.layers.Activation("exponential")],
            "normals": [keras.layers.UnitNormalization()],
        }
        heads = {
            task: dense_head(
                task,
                CHANNELS[task],
                shape[:2],
                stride,
                width,
                convolutions,
                last.get(task, []),
            )
            for task in y
        }
        return MultiTaskModel(encoder, heads)

    def compile(self, model):
        """Compiles with Adam, as the paper's code does."""
        losses = {
            "segmentation": keras.losses.SparseCategoricalCrossentropy(
                from_logits=True
            ),
            "depth": ScaleInvariantLog()
            if self.depth_loss == "scale_invariant"
            else keras.losses.MeanAbsoluteError(),
            "normals": CosineDistance(),
        }
        metrics = {
            "segmentation": ["accuracy"],
            "depth": [WithinRatio(1.25, name="accuracy")],
            "normals": [WithinAngle(11.25, name="accuracy")],
        }
        optimizer = keras.optimizers.Adam(
            self.learning_rate, epsilon=1e-5, global_clipnorm=0.5
        )
        tasks = model.task_names
        model.compile(
            optimizer,
            loss={task: losses[task] for task in tasks},
            metrics={task: metrics[task] for task in tasks},
            weighter=self.make_weighter(),
            jit_compile=False,
        )

    def evaluate(self, model, parts, task_weights):
        """Returns all scores, and of the paper's three mean and deviation."""
        x, y, present = parts.test
        scores = DenseScores(len(CLASSES))
        for start in range(0, len(x), self.evaluation_batch):
            rows = slice(start, start + self.evaluation_batch)
            found = model.predict_on_batch(x[rows])
            for task, labels in y.items():
                scores.add(task, labels[rows], found[task], present[task][rows])
        by_task = scores.result()
        accuracy = {t: next(iter(of.values())) for t, of in by_task.items()}
        return {
            "test_accuracy": float(np.mean([*accuracy.values()])),
            "test_accuracy_deviation": float(np.std([*accuracy.values()])),
            "test_accuracy_by_task": accuracy,
            "scores": by_task,
        }

    def export(self, model, parts, folder):
        """Draws some test pictures, and what the model says of them."""
        pictures.write(folder / PICTURE, model, parts.test)


def _constants(train, test):
    """Returns how the best constants of the training pictures score."""
    _, y, present = train
    constant = constant_predictions(y, present, len(CLASSES))
    _, y, present = test
    scores = DenseScores(len(CLASSES))
    for task, labels in y.items():
        shape = (*labels.shape[:3], CHANNELS[task])
        said = np.broadcast_to(constant[task], shape)
        scores.add(task, labels, said, present[task])
    return scores.result()


def _rows(data, rows):
    """Returns rows of `(x, y, sample_weight)`."""
    x, *by_task = data
    return x[rows], *(
        {task: part[rows] for task, part in of.items()} for of in by_task
    )


def _path(data):
    if not isinstance(data, str | Path) or not Path(data).exists():
        raise ValueError(
            "Argument `data` must be the path of a copy of NYUv2; see "
            f"keras_mtl.lab.datasets.nyuv2.load_nyuv2. Received: data={data!r}"
        )
    return Path(data)
