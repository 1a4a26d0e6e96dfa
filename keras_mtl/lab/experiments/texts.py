"""What experiments on texts have in common: each task has its own texts."""

import dataclasses
import math
from pathlib import Path
from typing import ClassVar

import keras

from keras_mtl import MultiTaskModel
from keras_mtl.architectures import SharedPrivate, TaskDiscriminator
from keras_mtl.checks import at_least, between, integer, one_of
from keras_mtl.lab.datasets.glove import PACKAGE, words_beside
from keras_mtl.lab.experiments.bert import (
    FEWEST_TOKENS,
    MINILM,
    MINILM_PACKAGE,
    bert_recipe,
)
from keras_mtl.lab.experiments.differing import DifferingExperiment
from keras_mtl.lab.experiments.experiment import LATER, existing
from keras_mtl.lab.experiments.mixtures import ARCHITECTURES, around
from keras_mtl.lab.experiments.parts import Parts
from keras_mtl.lab.experiments.text_encoders import (
    FEWEST_WORDS,
    averaged_recipe,
    encoded,
    text_cnn_recipe,
)
from keras_mtl.lab.runs.identity import checksum, identity

DEFAULT_PRESET = "bert_base_en"
# These have features that a discriminator can read.
TEXT_ARCHITECTURES = ("shared", "shared_private")
MIXTURES = tuple(name for name in ARCHITECTURES if name != "shared_bottom")


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextExperiment(DifferingExperiment):
    """One encoder of texts and a softmax head for each task.

    A subclass says what the tasks are and reads the texts. A run also writes
    `served/`, a SavedModel that takes strings.

    Args:
        data: Path of the archive of the texts; downloaded without it.
        glove: Path of GloVe vectors, or the name of their package; without it
            words start at random.
        encoder: String, kind of encoder: `"text_cnn"`, `"bert"`, or
            `"averaged"`, a hidden layer on the mean of a text's GloVe vectors,
            which stay as they are: seconds for a run.
        preset: String, the pretrained BERT, as in `bert_recipe`;
            `bert_base_en` by default.
        num_tokens: Integer, words (of BERT: tokens, at least 3) of a text that
            are read.
        vocabulary_size: Integer, at least 3, most frequent words that are kept,
            of the training texts of all tasks; BERT has its own.
        dropout: Float in [0, 1).
        architecture: String, `"shared"`: one encoder for all tasks;
            `"shared_private"`: one besides for each; or `"mmoe"`, `"ple"` or
            `"cross_stitch"`: above the shared one experts, or towers, of as
            many ReLU units as it has features.
        discriminator: Float, at least 0, weight of the loss of an adversary
            that tells the tasks apart; 0 for none.
        threshold: Float between 0 and 1, share of this loss by chance above
            which the encoder trains against it; always by default.
        **kwargs: As in `Experiment`. A batch has `batch_size` rows of each
            task, by default 256 of all together; with BERT 32.
    """

    separate = True
    # XLA's convolutions are the slower ones on CPUs.
    jit_compile = False
    num_classes: ClassVar[int]

    architectures: ClassVar[tuple] = (*TEXT_ARCHITECTURES, *MIXTURES)
    # Settings that other encoders do not read.
    encoder_settings: ClassVar[dict] = {
        "text_cnn": ("glove", "vocabulary_size"),
        "averaged": ("glove", "vocabulary_size", "hidden_units"),
        "bert": ("preset",),
    }
    # Settings that depend on the encoder where they are not given; rows of all
    # tasks together.
    encoder_defaults: ClassVar[dict] = {
        "text_cnn": {"learning_rate": 1e-3, "rows": 256, "dropout": 0.5},
        "averaged": {"learning_rate": 1e-3, "rows": 256, "dropout": 0.0},
        "bert": {"learning_rate": 2e-5, "rows": 32, "dropout": 0.1},
    }

    batch_size: int | None = None
    learning_rate: float | None = None
    data: Path | None = None
    glove: Path | str | None = None
    encoder: str = "text_cnn"
    preset: str | None = None
    num_tokens: int = 256
    vocabulary_size: int = 30_000
    dropout: float | None = None
    architecture: str = "shared"
    discriminator: float = 0.0
    threshold: float | None = None
    hidden_units: int = dataclasses.field(default=64, metadata=LATER)

    def __post_init__(self):
        one_of("encoder", self.encoder, self._recipes())
        for name, value in self._defaults().items():
            if getattr(self, name) is None:
                self._set(**{name: value})
        super().__post_init__()
        self._check_encoder()
        self._check_adversary()
        installed = str(self.glove) == PACKAGE
        self._set(
            data=existing("data", self.data),
            glove=PACKAGE if installed else existing("glove", self.glove),
        )
        self._glove_words()  # Raises if there are none.

    def _check_encoder(self):
        if self.encoder == "averaged" and self.glove is None:
            raise ValueError(
                "The encoder 'averaged' is a mean of GloVe vectors. Pass "
                f"glove=..., a file of them or {PACKAGE!r}."
            )
        fewest_tokens = FEWEST_TOKENS if self.encoder == "bert" else 1
        self._set(
            num_tokens=integer("num_tokens", self.num_tokens, fewest_tokens),
            vocabulary_size=integer(
                "vocabulary_size", self.vocabulary_size, FEWEST_WORDS
            ),
            hidden_units=integer("hidden_units", self.hidden_units, 1),
            dropout=between("dropout", self.dropout, 0.0, 1.0),
        )
        if not isinstance(self.preset, str | None):
            raise ValueError(
                "Argument `preset` must be the name of a preset or the path "
                f"of a folder, a string. Received: preset={self.preset!r}"
            )
        read = self.encoder_settings[self.encoder]
        for names in self.encoder_settings.values():
            for name in {*names}.difference(read):
                default = self.__dataclass_fields__[name].default
                if getattr(self, name) != default:
                    raise ValueError(
                        f"Argument `{name}` has no effect with encoder="
                        f"{self.encoder!r}. Leave it out."
                    )

    def _check_adversary(self):
        one_of("architecture", self.architecture, self.architectures)
        weight = at_least("discriminator", self.discriminator, 0.0)
        self._set(discriminator=weight)
        if weight:
            one_of(
                "architecture of a discriminator",
                self.architecture,
                TEXT_ARCHITECTURES,
            )
        if self.threshold is None:
            return
        self._set(threshold=between("threshold", self.threshold, 0.0, 1.0))
        if not weight:
            raise ValueError(
                "Argument `threshold` belongs to a discriminator, and "
                "there is none. Pass discriminator=0.05 as well."
            )

    def load_texts(self, archive):
        """Returns `{set: {task: (texts, labels)}}`, split by the seed.

        Args:
            archive: String, path of the archive, or None to download.
        """
        raise NotImplementedError

    def load(self):
        """Reads the texts and turns them into token ids."""
        sets = self.load_texts(None if self.data is None else str(self.data))
        sets = self.made_to_differ(sets, self.num_classes)
        texts = [text for texts, _ in sets["train"].values() for text in texts]
        recipe = self._recipes()[self.encoder](texts)
        parts = {
            name: (
                {
                    task: encoded(recipe.preprocessing, texts.tolist())
                    for task, (texts, _) in own.items()
                },
                {task: labels for task, (_, labels) in own.items()},
            )
            for name, own in sets.items()
        }
        facts = {**recipe.facts, "repeated_test_share": _repeated_share(sets)}
        return Parts(**parts, facts=facts, files=recipe.files, prepared=recipe)

    def config(self):
        """Returns all that decides the result, for JSON."""
        config = super().config()
        words = self._glove_words()
        if words is not None:
            config["glove"]["words"] = checksum(words)
        # MiniLM is a package, also where a folder has its name.
        if self.preset not in (None, MINILM) and Path(self.preset).is_dir():
            config["preset"] = identity(Path(self.preset))
        return config

    def _glove_words(self):
        beside = isinstance(self.glove, Path) and self.glove.suffix == ".npy"
        return words_beside(self.glove) if beside else None

    def packages(self):
        """Returns those that have BERT, where it is used."""
        if self.encoder != "bert":
            return ()
        return ("keras-hub", *([MINILM_PACKAGE] * (self.preset == MINILM)))

    def _defaults(self):
        defaults = dict(self.encoder_defaults[self.encoder])
        rows = defaults.pop("rows") // len(self.all_tasks)
        return {**defaults, "batch_size": max(1, rows)}

    def _recipes(self):
        return {
            "text_cnn": lambda texts: text_cnn_recipe(
                texts,
                None if self.glove is None else str(self.glove),
                self.num_tokens,
                self.vocabulary_size,
                self.dropout,
                self.seed,
            ),
            "averaged": lambda texts: averaged_recipe(
                texts,
                str(self.glove),
                self.num_tokens,
                self.vocabulary_size,
                self.hidden_units,
                self.dropout,
            ),
            "bert": lambda texts: bert_recipe(
                texts,
                preset=self.preset or DEFAULT_PRESET,
                num_tokens=self.num_tokens,
                dropout=self.dropout,
            ),
        }

    def build(self, parts):
        """Returns the recipe's encoder with a softmax head for each task."""
        tasks, make_encoder = [*parts.train[1]], parts.prepared.make_encoder
        encoder = make_encoder()
        if self.architecture == "shared_private":
            private = {task: make_encoder() for task in tasks}
            encoder = SharedPrivate(encoder, private)
        elif self.architecture in MIXTURES:
            units = encoder.output_shape[-1]
            layer = keras.layers.Dense(units, activation="relu")
            encoder = around(self.architecture, tasks, [layer], encoder)
        heads = {
            task: keras.layers.Dense(self.num_classes, "softmax", name=task)
            for task in tasks
        }
        discriminator = None
        if self.discriminator:
            threshold = self.threshold
            if threshold is not None:
                threshold *= math.log(len(tasks))
            discriminator = TaskDiscriminator(
                weight=self.discriminator, threshold=threshold
            )
        return MultiTaskModel(encoder, heads, discriminator=discriminator)

    def export(self, model, parts, folder):
        """Writes `served/`, a SavedModel that takes strings."""
        model.export(
            str(folder / "served"),
            preprocessing=parts.prepared.preprocessing,
            verbose=False,
        )


def _repeated_share(sets):
    """Returns the share of test texts that are training texts, too."""
    trained = {t for texts, _ in sets["train"].values() for t in texts}
    tested = [t for texts, _ in sets["test"].values() for t in texts]
    return sum(text in trained for text in tested) / len(tested)
