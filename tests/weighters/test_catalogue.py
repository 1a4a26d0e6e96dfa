import json
import re

import keras
import numpy as np
import pytest

from keras_mtl import weighters

KERAS = weighters.Weighter().get_config()
# Settings that are not the default ones, where `altered` does not find them.
SETTINGS = {
    "constant": {"weights": {"b": 2.0, "a": 1.0}},
    "uncertainty": {"kind": ["regression", "classification"]},
    "dwa": {"per": "epoch", "temperature": 1.0},
    "tchebycheff": {"preference": [1.0, 2.0], "ideal": {"a": 0.0, "b": 0.1}},
    "gradnorm": {"asymmetry": 0.12, "scope": "shared"},
    "upgrad": {"preference": {"b": 1.0, "a": 0.0}},
    "dual_proj": {"preference": [1.0, 2.0]},
    "aligned_mtl": {"scale": "rmse", "preference": {"a": 1.0, "b": 2.0}},
    "imtl_g": {"scope": "representation"},
    "config": {"preference": [1.0, 2.0]},
    "mgda": {"normalize": "loss+", "max_iterations": 7, "scope": "shared"},
}


def altered(value):
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else value / 2


def settings_of(name, cls):
    own = {n: v for n, v in cls().get_config().items() if n not in KERAS}
    numbers = {n: v for n, v in own.items() if isinstance(v, (int, float))}
    return SETTINGS.get(name) or {n: altered(v) for n, v in numbers.items()}


def test_names():
    assert len(set(weighters.CATALOGUE.values())) == len(weighters.CATALOGUE)
    for name, cls in weighters.CATALOGUE.items():
        assert getattr(weighters, cls.__name__) is cls
        assert cls.__name__ in weighters.__all__
        assert re.fullmatch("[a-z0-9]+(_[a-z0-9]+)*", name)
        # So that who knows one name finds the other.
        assert name.replace("_", "") == cls.__name__.lower()
    assert weighters.ALIASES["uniform"] == "constant"
    assert set(weighters.ALIASES.values()) <= set(weighters.CATALOGUE)
    assert not set(weighters.ALIASES) & set(weighters.CATALOGUE)


@pytest.mark.parametrize("name", weighters.CATALOGUE)
def test_get(name):
    cls = weighters.CATALOGUE[name]
    assert type(weighters.get(name)) is cls
    assert type(weighters.get(cls.__name__)) is cls
    weighter = weighters.get(
        {"class_name": name, "config": settings_of(name, cls)}
    )
    assert type(weighter) is cls
    assert weighters.get(weighter) is weighter
    assert type(weighters.get({"class_name": cls.__name__})) is cls


def test_a_preset_is_another_methods_name_with_its_settings():
    for name, settings in weighters.PRESETS.items():
        weighter = weighters.get(name)
        assert type(weighter) is weighters.CATALOGUE[weighters.ALIASES[name]]
        assert settings.items() <= weighter.get_config().items()
    for weighter in (
        weighters.make("group_dro", step_size=0.5),
        weighters.get(
            {"class_name": "group_dro", "config": {"step_size": 0.5}}
        ),
        weighters.GroupDRO(0.5),
    ):
        assert (weighter.radius, weighter.step_size) == (None, 0.5)
    for method, name in weighters.PRESET_CLASSES.items():
        expected = weighters.get(name).get_config()
        for other in (
            weighters.get(method),
            weighters.get({"class_name": method}),
            getattr(weighters, method)(),
        ):
            assert {**other.get_config(), "name": expected["name"]} == expected


def test_uniform_and_none_are_constant():
    for identifier in ("uniform", None):
        weights = weighters.get(identifier)(losses=[0.3, 0.4])
        np.testing.assert_array_equal(weights, [1.0, 1.0])


@pytest.mark.parametrize("name", weighters.CATALOGUE)
def test_config_survives_json(name):
    cls = weighters.CATALOGUE[name]
    for settings in ({}, settings_of(name, cls)):
        weighter = cls(**settings)
        config = json.loads(json.dumps(weighters.serialize(weighter)))
        again = weighters.deserialize(config)
        assert type(again) is type(weighter)
        assert again.get_config() == weighter.get_config()
        assert weighters.get(config).get_config() == weighter.get_config()
        for argument, value in settings.items():
            assert again.get_config()[argument] == value
        keras_again = keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(weighter)
        )
        assert keras_again.get_config() == weighter.get_config()


def test_deserialize_takes_unregistered_classes():
    class Inverse(weighters.Weighter):
        def call(self, losses):
            return 1.0 / losses

    config = weighters.serialize(Inverse())
    again = weighters.deserialize(config, custom_objects={"Inverse": Inverse})
    assert type(again) is Inverse


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        (
            "mdga",
            "Unknown weighter 'mdga'. Did you mean 'mgda'? "
            "'keras-mtl list' shows all.",
        ),
        ("zzzz", "Unknown weighter 'zzzz'. 'keras-mtl list' shows all."),
        (
            {"class_name": "slow"},
            "Unknown weighter 'slow'. Did you mean 'slaw'? "
            "'keras-mtl list' shows all.",
        ),
        (
            {"config": {}},
            "A weighter's config must have a `class_name`. "
            "Received: config={'config': {}}",
        ),
        (
            3,
            "A weighter must be a name, a config dict or a `Weighter`. "
            "Received: 3 (of type int)",
        ),
        (
            weighters.SLAW,
            "A weighter must be an instance. Received: the class SLAW. "
            "Pass SLAW().",
        ),
    ],
)
def test_unknown_identifiers(identifier, message):
    with pytest.raises(ValueError) as error:
        weighters.get(identifier)
    assert str(error.value) == message


def test_config_of_something_else():
    config = keras.saving.serialize_keras_object(keras.layers.Dense(1))
    with pytest.raises(ValueError, match="not registered"):
        weighters.deserialize(config)
