"""What every experiment provides."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from keras_mtl import weighters
from keras_mtl.checks import above, fraction, integer, one_of
from keras_mtl.lab.experiments.parts import Parts, Score
from keras_mtl.lab.runs.identity import identity
from keras_mtl.model import MultiTaskModel
from keras_mtl.weighters import Weighter

SETS = ("train", "test", "validation")
# Of a setting that earlier runs did not have: their configuration is that of
# its default, which is not written.
LATER = {"later": True}
QUERIES = ("split", "rotation", "validation")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment:
    """Settings of a run, and how to load, build and evaluate.

    A subclass gives its defaults as fields and overrides the methods that
    raise `NotImplementedError`.

    Example:

    >>> @dataclasses.dataclass(frozen=True, kw_only=True)
    ... class Tones(Experiment):
    ...     epochs: int = 3
    ...     score = Score("test_loss", "test loss", higher_is_better=False)
    ...     def load(self):
    ...         return Parts(train=(x, {"tone": y}), test=(x, {"tone": y}))
    ...     def build(self, parts):
    ...         heads = {"tone": keras.layers.Dense(1)}
    ...         return MultiTaskModel(keras.layers.Dense(4, "relu"), heads)
    ...     def compile(self, model):
    ...         model.compile("adam", "mse", weighter=self.make_weighter())
    ...     def evaluate(self, model, parts, task_weights):
    ...         loss = float(model.evaluate(*parts.test, verbose=0)[0])
    ...         return {"test_loss": loss, "test_loss_by_task": {"tone": loss}}
    >>> Tones(seed=1).epochs
    3

    Args:
        weighter: String, name of a weighter.
        weighter_arguments: Dict, its arguments; they replace the experiment's
            own.
        seed: Integer, of data, initial parameters, batches and dropout.
        epochs: Integer, at least 1.
        batch_size: Integer; with separate inputs, rows of each task.
        learning_rate: Float, above 0.
        query_split: Float between 0 and 1, both excluded, share of each task's
            training rows that a bilevel weighter learns from.
        query: String, which rows these are: `"split"`, the same in all epochs;
            `"rotation"`, others in each epoch, so that all rows train; or
            `"validation"`, the rows that choose the epoch, so that all
            training rows train in every epoch.
        tasks: Tuple of names, to train some of the tasks only.

    Raises:
        ValueError: If a setting is out of range; no data are read for that.
    """

    name: ClassVar[str]
    # Whether each task has inputs of its own.
    separate: ClassVar[bool] = False
    score: ClassVar[Score]
    # Names of all tasks, where they are known before the data are.
    all_tasks: ClassVar[tuple] = ()
    # Whether a task can be trained without the others.
    single_tasks: ClassVar[bool] = True
    # Names of weighters that only this experiment has.
    own_weighters: ClassVar[tuple] = ()
    # Metric whose mean over the tasks' validation rows chooses the epoch.
    monitor: ClassVar[str | None] = None
    # Whether validation rows are held out, with the settings at hand.
    has_validation: ClassVar[bool] = True
    # Values of its setting `architecture`, where it has one.
    architectures: ClassVar[tuple] = ()
    # Rows of a batch that is not trained on, and those of which conflicts of
    # gradients are measured.
    evaluation_batch: ClassVar[int] = 256
    conflict_rows: ClassVar[int] = 64
    # Which way the metrics are better that `evaluate` returns as `scores`.
    higher_is_better: ClassVar[dict] = {}
    # Arguments of weighters that this experiment sets.
    weighter_defaults: ClassVar[dict] = {}

    weighter: str = "uniform"
    weighter_arguments: dict = dataclasses.field(default_factory=dict)
    seed: int = 0
    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 1e-3
    query_split: float = 0.1
    query: str = dataclasses.field(default="split", metadata=LATER)
    tasks: tuple | None = None

    def __post_init__(self):
        self._set(
            seed=integer("seed", self.seed, 0),
            epochs=integer("epochs", self.epochs, 1),
            batch_size=integer("batch_size", self.batch_size, 1),
            learning_rate=above("learning_rate", self.learning_rate, 0.0),
            query_split=fraction("query_split", self.query_split),
        )
        one_of("query", self.query, QUERIES)
        if self.query == "validation" and not self.has_validation:
            raise ValueError(
                f"The experiment {self.name!r} has no validation rows. Pass "
                "query='split' or query='rotation'."
            )
        self._check_tasks(self.all_tasks)
        classes = {c.__name__: n for n, c in weighters.CATALOGUE.items()}
        self._set(weighter=classes.get(self.weighter, self.weighter))
        self.make_weighter()

    def _set(self, **settings):
        for name, value in settings.items():
            object.__setattr__(self, name, value)

    def make_weighter(self) -> Weighter:
        """Returns a new weighter."""
        own = self.weighter_defaults.get(self.weighter, {})
        arguments = {**own, **self.weighter_arguments}
        # Not through a config dict: Keras would bury the class' own message.
        try:
            return weighters.make(self.weighter, **arguments)
        except TypeError as error:
            raise ValueError(
                f"The weighter {self.weighter!r} does not take these "
                f"arguments. Received: {arguments!r}. {error}"
            ) from error

    def parts(self) -> Parts:
        """Returns the data of `tasks`."""
        parts = self.load()
        _, labels, *_ = parts.train
        self._check_tasks(labels)
        sets = {name: getattr(parts, name) for name in SETS}
        if self.tasks is not None:
            sets = {name: self._of_tasks(data) for name, data in sets.items()}
        rows = {task: len(labels[task]) for task in self.tasks or labels}
        facts = {**parts.facts, "training_rows": rows}
        return parts._replace(**sets, facts=facts)

    def _of_tasks(self, data):
        if data is None:
            return None
        x, y, *weights = data
        kept = self.tasks or ()
        if isinstance(x, dict) and x.keys() == y.keys():
            x = {task: x[task] for task in kept}
        weights = [
            {task: of[task] for task in kept if task in of} or None
            for of in weights
            if of
        ]
        return x, {task: y[task] for task in kept}, *weights

    def _check_tasks(self, known):
        if self.tasks is not None:
            self._check_names("tasks", self.tasks, known)

    @staticmethod
    def _check_names(argument, names, known):
        if not isinstance(names, list | tuple) or not names:
            raise ValueError(
                f"Argument `{argument}` must be names of tasks, at least one. "
                f"Received: {argument}={names!r}"
            )
        for task in names if known else ():
            one_of(argument, task, known)

    def load(self) -> Parts:
        """Returns the data of all tasks."""
        raise NotImplementedError

    def build(self, parts: Parts) -> MultiTaskModel:
        """Returns a new `MultiTaskModel`, not compiled."""
        raise NotImplementedError

    def compile(self, model: MultiTaskModel) -> None:
        """Compiles the model with a new weighter."""
        raise NotImplementedError

    def augment(self, batch: tuple, seed: Any) -> tuple:
        """Returns a training batch as it is to be seen in one step.

        It must draw from `tf.random.stateless_*` alone, so that a run that was
        killed goes on as it would have.

        Args:
            batch: `(x, y)` or `(x, y, sample_weight)`, dicts by task.
            seed: `(2,)` int32 tensor, by `seed`, epoch and step.
        """
        return batch

    def callbacks(self, parts: Parts) -> list:
        """Returns callbacks whose logs are to be in the history.

        Args:
            parts: Result of `load`.
        """
        return []

    def evaluate(
        self, model: MultiTaskModel, parts: Parts, task_weights: Any
    ) -> dict:
        """Returns test metrics, `score.key` and `<key>_by_task` among them.

        Where a task has several, they are `scores`, a dict from task name to a
        dict from metric to value; `higher_is_better` then has each. What
        predictors without a model reach is `constants`, a dict from their name
        to such scores, here or among the facts of `Parts`.

        Args:
            model: The trained model.
            parts: Result of `load`.
            task_weights: `(steps, K)` array, the weights after each step.
        """
        raise NotImplementedError

    def export(self, model: MultiTaskModel, parts: Parts, folder: Path) -> None:
        """Writes what serves the model, or shows it; by default, nothing.

        A picture, `keras_mtl.lab.runs.folder.PICTURE`, is in the report of a
        comparison.

        Args:
            model: The trained model.
            parts: Result of `load`.
            folder: `Path` of the run.
        """

    def config(self) -> dict:
        """Returns all that decides the result, for JSON."""
        config = {"experiment": self.name, **dataclasses.asdict(self)}
        for field in dataclasses.fields(self):
            later = field.metadata.get("later")
            if later and config[field.name] == field.default:
                del config[field.name]
        for name, value in config.items():
            if isinstance(value, Path):
                # The same file may have another path next time.
                config[name] = identity(value)
        return config

    def packages(self) -> tuple:
        """Returns the names of packages, of this run alone, that decide it."""
        return ()


def existing(name, path):
    """Returns `path` as a `Path`, or raises if there is no such file."""
    if path is None:
        return None
    if not isinstance(path, str | Path) or not Path(path).is_file():
        raise ValueError(
            f"Argument `{name}` must be the path of a file. "
            f"Received: {name}={str(path)!r}, which is none."
        )
    return Path(path)
