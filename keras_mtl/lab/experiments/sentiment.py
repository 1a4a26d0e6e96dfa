"""Sentiment: 14 domains of reviews, each with texts of its own."""

import dataclasses
from typing import ClassVar

from keras_mtl.checks import fraction, one_of
from keras_mtl.lab.datasets.reviews import DOMAINS
from keras_mtl.lab.datasets.sentiment import load_sentiment
from keras_mtl.lab.experiments.texts import TextExperiment


@dataclasses.dataclass(frozen=True, kw_only=True)
class SentimentExperiment(TextExperiment):
    """Sentiment of section 6 of Mao et al., 2022.

    Args:
        data: Path of an archive of the FDU-MTL files; downloaded without it.
        validation: Float between 0 and 1, share of each domain's training
            reviews that choose the epoch.
        repeats: Boolean, whether reviews of the test sets are kept in training
            sets where the source has them there, as in `load_sentiment`.
        **kwargs: As in `TextExperiment`.
    """

    name = "sentiment"
    all_tasks = DOMAINS
    num_classes = 2
    weighter_defaults: ClassVar[dict] = {"meta_weighting": {"step_size": 0.1}}

    epochs: int = 25
    validation: float = 0.125
    repeats: bool = True

    def __post_init__(self):
        super().__post_init__()
        one_of("repeats", self.repeats, (True, False))
        self._set(validation=fraction("validation", self.validation))

    def load_texts(self, archive):
        """Returns the reviews, with validation sets taken by the seed."""
        return load_sentiment(archive, self.validation, self.seed, self.repeats)
