"""Checks that a weighter survives being saved."""

import inspect
import json
import pathlib
import tempfile
import warnings

import keras

from keras_mtl.testing.compiled import eager
from keras_mtl.testing.signal_families import signal_sequence
from keras_mtl.testing.trial import (
    ConformanceError,
    expect_same,
    fresh,
    history,
)
from keras_mtl.weighters import deserialize, serialize


def check_config(make, num_tasks):
    """The config holds every argument and makes an equal weighter."""
    weighter = fresh(make, num_tasks)
    config = weighter.get_config()
    missing = [a for a in _arguments(type(weighter)) if a not in config]
    if missing:
        raise ConformanceError(
            f"expected every argument of `__init__` in `get_config()`; "
            f"received {sorted(config)} without {missing}. Add them."
        )
    cls = type(weighter)
    custom_objects = {cls.__name__: cls}
    through_json = json.loads(json.dumps(serialize(weighter)))
    rebuilds = {
        "from_config": lambda: cls.from_config(weighter.get_config()),
        "deserialize": lambda: deserialize(serialize(weighter), custom_objects),
        "JSON": lambda: deserialize(through_json, custom_objects),
    }
    for way, rebuild in rebuilds.items():
        received = rebuild().get_config()
        if json.dumps(received) != json.dumps(config):
            raise ConformanceError(
                f"expected the config {config} after {way}; received "
                f"{received}. Return each argument as `__init__` takes it."
            )
    _, sequence, expected = eager(make, num_tasks)
    expect_same(
        history(fresh(rebuilds["JSON"], num_tasks), sequence[:2]),
        expected[:2],
        "This was the weighter from JSON. Return each argument as `__init__` "
        "takes it.",
    )


def check_saving(make, num_tasks):
    """Saved and loaded between two steps, it goes on bit for bit."""
    weighter = fresh(make, num_tasks)
    sequence = signal_sequence(weighter, num_tasks, ["random"] * 4)
    early, late = sequence[:2], sequence[2:]
    history(weighter, early)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # Keras hands its variables to h5py in a way that NumPy 2 deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        whole = pathlib.Path(folder, "model.keras")
        weights = pathlib.Path(folder, "model.weights.h5")
        holder = _Holder(weighter)
        holder.save(whole)
        holder.save_weights(weights)
        # Another seed: what is drawn anew must come from the file.
        keras.utils.set_random_seed(1)
        cls = type(weighter)
        loaded = keras.saving.load_model(whole, {cls.__name__: cls}).weighter
        other = fresh(make, num_tasks, seed=1)
        _Holder(other).load_weights(weights)
    expected = history(weighter, late)
    for restored, file in ((loaded, whole), (other, weights)):
        expect_same(
            history(restored, late),
            expected,
            f"This came back from {file.name}. Keep all that changes in "
            "variables made in `build`, random state too: Keras does not save "
            "a SeedGenerator's.",
        )


@keras.saving.register_keras_serializable(package="keras_mtl")
class _Holder(keras.Model):
    """The smallest model that saves a weighter."""

    def __init__(self, weighter, **kwargs):
        super().__init__(**kwargs)
        self.weighter = weighter
        self.built = True

    def get_config(self):
        return {"weighter": keras.saving.serialize_keras_object(self.weighter)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["weighter"]))


def _arguments(cls):
    """Returns the names of all arguments that a class takes by name."""
    names = {}
    for owner in cls.__mro__:
        if "__init__" not in vars(owner):
            continue
        parameters = list(inspect.signature(owner).parameters.values())
        kinds = {p.kind for p in parameters}
        names |= {
            p.name: None
            for p in parameters
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        }
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            break
    return list(names)
