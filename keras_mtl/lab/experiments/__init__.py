"""The experiments of the papers, runnable from the command line."""

import dataclasses
import importlib

# What experiments import, which the extra `data` brings.
DATA_PACKAGES = ("sklearn", "tensorflow_datasets")


# Each in a module of its own, since some import optional packages.
EXPERIMENTS = {
    "topics": "topics:TopicsExperiment",
    "sentiment": "sentiment:SentimentExperiment",
    "census": "census:CensusExperiment",
    "nyuv2": "nyuv2:NYUv2Experiment",
    "pcba": "molecules:PCBAExperiment",
    "toxcast": "molecules:ToxCastExperiment",
    "mtregression": "mtregression:MTRegressionExperiment",
    "demo": "digits:DigitsExperiment",
    "mmoe_tasks": "mmoe_tasks:MMoETasksExperiment",
}


def experiment_class(name):
    """Returns the class of the experiment `name`.

    Args:
        name: String, one of `EXPERIMENTS`; or `"my_project.module:Class"`, a
            subclass of `Experiment` of your own, which then bears this name.

    Raises:
        ValueError: If there is no such experiment.
    """
    if ":" in name:
        return _own_class(name)
    from keras_mtl.checks import need, one_of

    need("An experiment", DATA_PACKAGES, "data")
    place = EXPERIMENTS[one_of("experiment", name, EXPERIMENTS)]
    module, _, path = place.partition(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), path)


def _own_class(name):
    from keras_mtl.lab.experiments.experiment import Experiment

    module, _, path = name.partition(":")
    try:
        cls = getattr(importlib.import_module(module), path)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"The experiment {name!r} cannot be imported: {error}. Pass "
            "'module:Class', of a module that Python finds from this folder."
        ) from error
    if not (isinstance(cls, type) and issubclass(cls, Experiment)):
        raise ValueError(
            f"{name!r} is no experiment. Received: {cls!r}. Derive it from "
            "keras_mtl.lab.Experiment."
        )
    cls.name = name
    return cls


def architectures_of(name, encoder) -> list[str]:
    """Returns the architectures that `--encoder` names; none if it is others.

    Args:
        name: String, as for `experiment_class`.
        encoder: String, names with commas; or None.

    Raises:
        ValueError: If the experiment has no such encoder.
    """
    from keras_mtl.checks import one_of

    kind = experiment_class(name)
    names = [part for part in (encoder or "").split(",") if part]
    if {*names} <= {*kind.architectures}:
        return names
    if "encoder" in kind.__dataclass_fields__:
        return []
    if not kind.architectures:
        raise ValueError(
            f"The experiment {name!r} has one encoder. Leave --encoder out."
        )
    for part in names:
        one_of("encoder", part, kind.architectures)
    return names


def make_experiment(name, **settings):
    """Returns the experiment `name`; settings not given are its defaults.

    Args:
        name: String, as for `experiment_class`.
        **settings: Fields of the experiment.

    Raises:
        ValueError: If the name or a setting is unknown.
    """
    from keras_mtl.checks import did_you_mean

    experiment = experiment_class(name)
    fields = [field.name for field in dataclasses.fields(experiment)]
    for setting in settings:
        if setting not in fields:
            raise ValueError(
                f"The experiment {name!r} has no setting {setting!r}."
                f"{did_you_mean(setting, fields)} Settings: {fields}"
            )
    return experiment(**settings)
