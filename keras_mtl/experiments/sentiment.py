"""Sentiment: 14 domains of reviews, each with texts of its own."""

import dataclasses
from typing import ClassVar

from keras_mtl.datasets.reviews import DOMAINS
from keras_mtl.datasets.sentiment import load_sentiment
from keras_mtl.experiments.texts import TextExperiment


@dataclasses.dataclass(frozen=True, kw_only=True)
class SentimentExperiment(TextExperiment):
    """Sentiment of section 6 of Mao et al., 2022.

    An eighth of each domain's training reviews chooses the epoch.

    Args:
        data: Path of an archive of the FDU-MTL files; downloaded without it.
        **kwargs: As in `TextExperiment`.
    """

    name = "sentiment"
    all_tasks = DOMAINS
    num_classes = 2
    weighter_defaults: ClassVar[dict] = {"meta_weighting": {"step_size": 0.1}}

    epochs: int = 25

    def load_texts(self, archive):
        """Returns the reviews, with validation sets taken by the seed."""
        return load_sentiment(archive, seed=self.seed)
