"""The rows of a benchmark that train by Keras: a copy of one model each."""

import copy
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from keras_mtl import weighters
from keras_mtl.data.support_query import SupportQuery
from keras_mtl.lab.benchmarks.plain_keras import as_plain_batch, as_plain_keras
from keras_mtl.signals import reads_query


@dataclass(frozen=True)
class KerasRunner:
    """Trains a model by `fit` on one batch, again and again.

    Args:
        model: Compiled Keras model.
        batches: `tf.data.Dataset` of batches without end.
    """

    model: keras.Model
    batches: tf.data.Dataset

    def run(self, steps):
        """Takes `steps` training steps."""
        # Keras warns of its own default, `shuffle=True`, with a data set.
        self.model.fit(
            self.batches, steps_per_epoch=steps, shuffle=False, verbose=0
        )


@dataclass(frozen=True)
class Blueprint:
    """What it takes to make a model anew, in this process or another.

    Args:
        model_class: Subclass of `MultiTaskModel`.
        config: Dict of `get_config()`.
        compile_config: Dict of `get_compile_config()`.
        batch: Tuple of arrays, or of structures of them: inputs, labels and
            maybe sample weights.
    """

    model_class: type
    config: dict
    compile_config: dict
    batch: tuple

    @classmethod
    def of(cls, model, batch):
        """Returns the blueprint of a compiled model."""
        configs = model.get_config(), model.get_compile_config()
        return cls(type(model), *configs, batch)

    def model(self, weighter):
        """Returns a new model, compiled with the weighter of a config."""
        # Keras takes configs apart while it reads them.
        config, compile_config = copy.deepcopy(
            (self.config, self.compile_config)
        )
        model = self.model_class.from_config(config)
        model.compile_from_config({**compile_config, "weighter": weighter})
        return model


@dataclass(frozen=True)
class WeighterRow:
    """Makes a runner of the model with a weighter.

    Args:
        blueprint: `Blueprint`.
        method: Config dict of the weighter.
    """

    blueprint: Blueprint
    method: dict[str, Any]

    def __call__(self):
        """Returns a `KerasRunner`."""
        model, batch = self.blueprint.model(self.method), self.blueprint.batch
        data = (
            SupportQuery(batch, batch) if reads_query(model.weighter) else batch
        )
        return endless(model, data)


@dataclass(frozen=True)
class PlainKerasRow:
    """Makes a runner of a plain Keras model with the same layers.

    Args:
        blueprint: `Blueprint`.
        method: Config dict of uniform weights, which it trains with.
    """

    blueprint: Blueprint
    method: dict[str, Any]

    def __call__(self):
        """Returns a `KerasRunner`."""
        model, batch = self.blueprint.model(self.method), self.blueprint.batch
        plain = as_plain_keras(model, batch[0])
        return endless(plain, as_plain_batch(model, batch))


def weighter_rows(blueprint, uniform, others) -> dict[str, WeighterRow]:
    """Returns a row for each weighter, by label.

    Args:
        blueprint: `Blueprint`.
        uniform: String, the name of the first row's weighter.
        others: List of names, config dicts or `Weighter`s.
    """
    rows = {}
    for weighter in (uniform, *others):
        label = weighter
        if not isinstance(weighter, str):
            name = type(weighters.get(weighter)).__name__
            same = sum(known.startswith(name) for known in rows)
            label = f"{name} {same + 1}" if same else name
        method = weighters.serialize(weighters.get(weighter))
        rows[label] = WeighterRow(blueprint, method)
    return rows


def endless(model, data) -> KerasRunner:
    """Returns a runner that trains on one batch, again and again."""
    return KerasRunner(model, tf.data.Dataset.from_tensors(data).repeat())
