"""What experiments on texts have in common: each task has its own texts."""

import dataclasses
from pathlib import Path
from typing import ClassVar

import keras

from keras_mtl import MultiTaskModel
from keras_mtl.checks import one_of
from keras_mtl.datasets.glove import PACKAGE
from keras_mtl.experiments.classification import ClassificationExperiment
from keras_mtl.experiments.experiment import Parts, existing
from keras_mtl.experiments.text_encoders import text_cnn_recipe, token_ids

ENCODERS = ("text_cnn",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextExperiment(ClassificationExperiment):
    """One encoder of texts and a softmax head for each task.

    A subclass says what the tasks are and reads the texts. A run also writes
    `served/`, a SavedModel that takes strings.

    Args:
        data: Path of the archive of the texts; downloaded without it.
        glove: Path of GloVe vectors, or the name of their package; without it
            words start at random.
        encoder: String, kind of encoder: `"text_cnn"`.
        num_tokens: Integer, words of a text that are read.
        vocabulary_size: Integer, most frequent words that are kept, of the
            training texts of all tasks.
        dropout: Float in [0, 1).
        tasks: Names of the tasks to train; all by default.
        **kwargs: As in `Experiment`. A batch has `batch_size` rows of each
            task.
    """

    separate = True
    monitor = "accuracy"
    # XLA's convolutions are the slower ones on CPUs.
    jit_compile = False
    all_tasks: ClassVar[tuple[str, ...]]
    num_classes: ClassVar[int]

    data: Path | None = None
    glove: Path | str | None = None
    encoder: str = "text_cnn"
    num_tokens: int = 256
    vocabulary_size: int = 30_000
    dropout: float = 0.5
    tasks: tuple[str, ...] | None = None

    def __post_init__(self):
        super().__post_init__()
        one_of("encoder", self.encoder, ENCODERS)
        installed = str(self.glove) == PACKAGE
        own = {
            "data": existing("data", self.data),
            "glove": PACKAGE if installed else existing("glove", self.glove),
            "tasks": self._checked_tasks(),
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)

    def load_texts(self, archive):
        """Returns `{set: {task: (texts, labels)}}`, split by the seed.

        Args:
            archive: String, path of the archive, or None to download.
        """
        raise NotImplementedError

    def load(self):
        """Reads the texts and turns them into token ids."""
        sets = self.load_texts(None if self.data is None else str(self.data))
        texts = [text for texts, _ in sets["train"].values() for text in texts]
        recipe = text_cnn_recipe(
            texts,
            None if self.glove is None else str(self.glove),
            self.num_tokens,
            self.vocabulary_size,
            self.dropout,
            self.seed,
        )
        tasks = self.all_tasks if self.tasks is None else self.tasks
        parts = {
            name: (
                {
                    task: token_ids(recipe.preprocessing, own[task][0].tolist())
                    for task in tasks
                },
                {task: own[task][1] for task in tasks},
            )
            for name, own in sets.items()
        }
        rows = {task: len(labels) for task, labels in parts["train"][1].items()}
        facts = {**recipe.facts, "training_rows": rows}
        return Parts(**parts, facts=facts, files=recipe.files, prepared=recipe)

    def build(self, parts):
        """Returns the recipe's encoder with a softmax head for each task."""
        encoder = parts.prepared.make_encoder()
        heads = {
            task: keras.layers.Dense(self.num_classes, "softmax", name=task)
            for task in parts.train[1]
        }
        return MultiTaskModel(encoder, heads)

    def export(self, model, parts, folder):
        """Writes `served/`, a SavedModel that takes strings."""
        model.export(
            str(folder / "served"),
            preprocessing=parts.prepared.preprocessing,
            verbose=False,
        )

    def _checked_tasks(self):
        """Returns `tasks` in the order of the experiment."""
        if self.tasks is None:
            return None
        if isinstance(self.tasks, str) or not self.tasks:
            raise ValueError(
                "Argument `tasks` must be names of tasks, at least one. "
                f"Received: tasks={self.tasks!r}"
            )
        for task in self.tasks:
            one_of("tasks", task, self.all_tasks)
        return tuple(task for task in self.all_tasks if task in self.tasks)
