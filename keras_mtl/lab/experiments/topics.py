"""Topics: four groups of newsgroups, each with texts of its own."""

import dataclasses
from typing import ClassVar

from keras_mtl.lab.datasets.newsgroups import TASK_GROUPS
from keras_mtl.lab.datasets.topics import load_topics, three_shares
from keras_mtl.lab.experiments.texts import TextExperiment


@dataclasses.dataclass(frozen=True, kw_only=True)
class TopicsExperiment(TextExperiment):
    """Topics of section 6 of Mao et al., 2022.

    Args:
        data: Path of the `20news-bydate` archive; downloaded without it.
        split: Three floats, shares of the training, validation and test sets.
        **kwargs: As in `TextExperiment`.
    """

    name = "topics"
    all_tasks = tuple(TASK_GROUPS)
    num_classes = 4
    weighter_defaults: ClassVar[dict] = {"meta_weighting": {"step_size": 0.5}}

    epochs: int = 25
    split: tuple = (0.6, 0.2, 0.2)

    def __post_init__(self):
        super().__post_init__()
        self._set(split=three_shares(self.split))

    def load_texts(self, archive):
        """Returns the posts, split at random."""
        return load_topics(archive, self.split, self.seed)
