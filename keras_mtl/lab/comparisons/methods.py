"""The methods that can be compared, as settings of an experiment."""

from typing import NamedTuple

import keras

from keras_mtl import weighters
from keras_mtl.checks import did_you_mean
from keras_mtl.signals import reads_query
from keras_mtl.weighters import ALIASES, CATALOGUE, PRESETS

SINGLE_TASK = "stl"
BASELINE = "uniform"
ALL = "all"


class Method(NamedTuple):
    """How a method departs from hard sharing with equal weights.

    Attributes:
        weighter: Name of a weighter.
        settings: Dict, further settings of the experiment.
        arguments: Dict, arguments of the weighter.
    """

    weighter: str
    settings: dict = {}
    arguments: dict = {}


METHODS = {
    SINGLE_TASK: Method(BASELINE),
    BASELINE: Method(BASELINE),
    **{name: Method(name) for name in CATALOGUE if name != ALIASES[BASELINE]},
    **{name: Method(name) for name in PRESETS},
    "advmtl": Method(
        BASELINE, {"architecture": "shared_private", "discriminator": 0.05}
    ),
    "tchebycheff_adv": Method(
        "tchebycheff", {"discriminator": 0.05, "threshold": 0.5}
    ),
    "meta_weighting_rotation": Method("meta_weighting", {"query": "rotation"}),
    "meta_weighting_validation": Method(
        "meta_weighting", {"query": "validation"}
    ),
    "meta_weighting_optimizer": Method(
        "meta_weighting",
        {"query": "validation"},
        {"through": "optimizer"},
    ),
    "mmoe": Method(BASELINE, {"architecture": "mmoe"}),
    "ple": Method(BASELINE, {"architecture": "ple"}),
    "mtan": Method(BASELINE, {"architecture": "mtan"}),
    "cross_stitch": Method(BASELINE, {"architecture": "cross_stitch"}),
    # MTRegression alone knows the scales of its tasks.
    "ideal_constant": Method("ideal_constant"),
}

# Between an architecture and a weighter.
AND = "+"


def method_of(name) -> Method:
    """Returns a method by its name, which may be `architecture+weighter`."""
    if name in METHODS:
        return METHODS[name]
    architecture, _, plain = name.partition(AND)
    method, own = METHODS[plain], {"architecture": architecture}
    return method._replace(settings={**method.settings, **own})


def with_architectures(names, architectures, experiment) -> list[str]:
    """Returns the names of weighters times architectures.

    Single tasks, and methods that have an architecture, stand for themselves.
    With the experiment's own architecture, a method has the weighter's name
    alone; with another one and equal weights, the architecture's.

    Args:
        names: List of strings, methods; equal weights where empty.
        architectures: List of strings, those of the experiment.
        experiment: Class of an experiment.
    """
    own = experiment.__dataclass_fields__["architecture"].default
    found = []
    for name in names or [BASELINE]:
        alone = name == SINGLE_TASK or AND in name or name in architectures
        if alone or "architecture" in METHODS.get(name, Method("")).settings:
            found.append(name)
            continue
        found += [
            name if architecture == own else f"{architecture}{AND}{name}"
            for architecture in architectures
        ]
    return [_short(name) for name in found]


def _short(name):
    """Returns the name of an architecture with equal weights."""
    architecture, _, weighter = name.partition(AND)
    known = METHODS.get(architecture, Method(""))
    plain = known == Method(BASELINE, {"architecture": architecture})
    return architecture if weighter == BASELINE and plain else name


def methods_for(experiment) -> dict[str, Method]:
    """Returns the methods that an experiment can run.

    Args:
        experiment: Class of an experiment.
    """
    fields = experiment.__dataclass_fields__
    return {
        name: method
        for name, method in METHODS.items()
        if (name != SINGLE_TASK or experiment.single_tasks)
        and set(method.settings) <= set(fields)
        and method.settings.get("architecture")
        in (None, *experiment.architectures)
        and method.weighter in (*CATALOGUE, *ALIASES, *experiment.own_weighters)
    }


def check_methods(names, experiment) -> list[str]:
    """Returns the names of methods, all by default, or raises.

    Args:
        names: List of strings, or `["all"]`.
        experiment: Class of an experiment.

    Raises:
        ValueError: If there is no such method, or this experiment cannot run
            it.
    """
    known = methods_for(experiment)
    names = [] if list(names) == [ALL] else names
    for name in names:
        architecture, _, weighter = name.partition(AND)
        if name in known or (
            architecture in experiment.architectures
            and weighter in known
            and "architecture" not in known[weighter].settings
            and weighter != SINGLE_TASK
        ):
            continue
        if name in METHODS:
            raise ValueError(
                f"The method {name!r} cannot run on {experiment.name!r}. "
                f"Methods that can: {list(known)}"
            )
        raise ValueError(
            f"Unknown method {name!r}.{did_you_mean(name, known)} "
            f"Methods: {list(known)}, and architecture{AND}weighter with the "
            f"architectures {list(experiment.architectures)}"
        )
    return list(dict.fromkeys(map(_short, names))) or list(known)


def takes(name, parameter, experiment) -> bool:
    """Whether a sweep over `parameter` says anything about a method.

    Args:
        name: Name of a method.
        parameter: String.
        experiment: Class of an experiment.
    """
    if parameter == "num_tasks":
        return parameter in experiment.__dataclass_fields__
    weighter = method_of(name).weighter
    if weighter not in (*CATALOGUE, *ALIASES):
        return False
    weighter = weighters.get(weighter)
    if parameter == "query_split":
        return reads_query(weighter)
    # A seed is the cell's own.
    arguments = weighter.get_config().keys() - {"seed"}
    return parameter in arguments - keras.layers.Layer().get_config().keys()
