"""Task weighters, by name."""

import reprlib
from typing import cast

from keras import saving

from keras_mtl.checks import class_name_of, did_you_mean, fitting
from keras_mtl.weighters.aligned_mtl import AlignedMTL
from keras_mtl.weighters.auto_lambda import AutoLambda
from keras_mtl.weighters.bandit_mtl import BanditMTL
from keras_mtl.weighters.base import Weighter
from keras_mtl.weighters.cagrad import CAGrad
from keras_mtl.weighters.clipped import Clipped
from keras_mtl.weighters.config import ConFIG
from keras_mtl.weighters.constant import Constant
from keras_mtl.weighters.cosmos import COSMOS
from keras_mtl.weighters.cov_weighting import CoVWeighting
from keras_mtl.weighters.db_mtl import DBMTL
from keras_mtl.weighters.dual_proj import DualProj
from keras_mtl.weighters.dwa import DWA
from keras_mtl.weighters.every import Every
from keras_mtl.weighters.excess_mtl import ExcessMTL
from keras_mtl.weighters.fairgrad import FairGrad
from keras_mtl.weighters.famo import FAMO
from keras_mtl.weighters.fixed import Fixed
from keras_mtl.weighters.gls import GLS
from keras_mtl.weighters.go4align import GO4Align
from keras_mtl.weighters.grad_drop import GradDrop
from keras_mtl.weighters.gradient_similarity import GradientSimilarity
from keras_mtl.weighters.gradient_weighter import GradientWeighter
from keras_mtl.weighters.gradnorm import GradNorm
from keras_mtl.weighters.gradvac import GradVac
from keras_mtl.weighters.group_dro import GroupDRO
from keras_mtl.weighters.igb import IGB
from keras_mtl.weighters.imtl import IMTL
from keras_mtl.weighters.imtl_g import IMTLG
from keras_mtl.weighters.imtl_l import IMTLL
from keras_mtl.weighters.log_losses import LogLosses
from keras_mtl.weighters.meta_balance import MetaBalance
from keras_mtl.weighters.meta_weighting import MetaWeighting
from keras_mtl.weighters.mgda import MGDA
from keras_mtl.weighters.moco import MoCo
from keras_mtl.weighters.modo import MoDo
from keras_mtl.weighters.moml import MOML
from keras_mtl.weighters.nash_mtl import NashMTL
from keras_mtl.weighters.of_log_losses import OfLogLosses
from keras_mtl.weighters.pbi import PBI
from keras_mtl.weighters.pcd import PCD
from keras_mtl.weighters.pcgrad import PCGrad
from keras_mtl.weighters.relobralo import ReLoBRaLo
from keras_mtl.weighters.rlw import RLW
from keras_mtl.weighters.scheduled import Scheduled
from keras_mtl.weighters.sdmgrad import SDMGrad
from keras_mtl.weighters.slaw import SLAW
from keras_mtl.weighters.smoothed import Smoothed
from keras_mtl.weighters.softadapt import SoftAdapt
from keras_mtl.weighters.stch import STCH
from keras_mtl.weighters.tchebycheff import Tchebycheff
from keras_mtl.weighters.uncertainty import Uncertainty
from keras_mtl.weighters.upgrad import UPGrad
from keras_mtl.weighters.uwso import UWSO
from keras_mtl.weighters.wrapper import Wrapper

CATALOGUE = {
    "constant": Constant,
    "uncertainty": Uncertainty,
    "dwa": DWA,
    "slaw": SLAW,
    "bandit_mtl": BanditMTL,
    "tchebycheff": Tchebycheff,
    "gls": GLS,
    "igb": IGB,
    "log_losses": LogLosses,
    "rlw": RLW,
    "stch": STCH,
    "uwso": UWSO,
    "imtl_l": IMTLL,
    "cov_weighting": CoVWeighting,
    "softadapt": SoftAdapt,
    "relobralo": ReLoBRaLo,
    "go4align": GO4Align,
    "famo": FAMO,
    "cosmos": COSMOS,
    "pbi": PBI,
    "gradnorm": GradNorm,
    "db_mtl": DBMTL,
    "meta_balance": MetaBalance,
    "mgda": MGDA,
    "pcgrad": PCGrad,
    "upgrad": UPGrad,
    "cagrad": CAGrad,
    "nash_mtl": NashMTL,
    "fairgrad": FairGrad,
    "aligned_mtl": AlignedMTL,
    "imtl_g": IMTLG,
    "imtl": IMTL,
    "config": ConFIG,
    "dual_proj": DualProj,
    "gradvac": GradVac,
    "sdmgrad": SDMGrad,
    "pcd": PCD,
    "gradient_similarity": GradientSimilarity,
    "modo": MoDo,
    "moco": MoCo,
    "excess_mtl": ExcessMTL,
    "grad_drop": GradDrop,
    "meta_weighting": MetaWeighting,
    "moml": MOML,
    "auto_lambda": AutoLambda,
}
ALIASES = {
    "uniform": "constant",
    "geometric_mean": "gls",
    "group_dro": "bandit_mtl",
}
# The settings that make a class another method of the literature.
PRESETS = {"group_dro": {"radius": None, "step_size": 0.01}}
PRESET_CLASSES = {GroupDRO.__name__: "group_dro"}  # Their classes' names.

# Weighters around other weighters.
WRAPPERS = {
    "smoothed": Smoothed,
    "of_log_losses": OfLogLosses,
    "every": Every,
    "scheduled": Scheduled,
    "fixed": Fixed,
    "clipped": Clipped,
}


def get(identifier: "Weighter | str | dict | None") -> Weighter:
    """Returns a weighter from a name, a config dict or an instance.

    Example:

    >>> get("slaw")
    >>> get({"class_name": "SLAW", "config": {"momentum": 0.9}})

    Args:
        identifier: String, dict as `serialize` returns it, `Weighter`, or
            `None` for uniform weights.

    Returns:
        A `Weighter`.

    Raises:
        ValueError: If the identifier names no known weighter.
    """
    if isinstance(identifier, Weighter):
        return identifier
    if identifier is None:
        return Constant()
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return make(identifier)
    if isinstance(identifier, type) and issubclass(identifier, Weighter):
        raise ValueError(
            f"A weighter must be an instance. Received: the class "
            f"{identifier.__name__}. Pass {identifier.__name__}()."
        )
    raise ValueError(
        "A weighter must be a name, a config dict or a `Weighter`. "
        f"Received: {reprlib.repr(identifier)} (of type "
        f"{type(identifier).__name__})"
    )


def make(name: str, **arguments) -> Weighter:
    """Returns a new weighter.

    Example:

    >>> make("group_dro", step_size=0.1)  # BanditMTL(None, step_size=0.1)

    Args:
        name: String, a name that `get` takes.
        **arguments: The arguments of its class.

    Returns:
        A `Weighter`.

    Raises:
        ValueError: If there is no weighter of that name, or an argument is
            out of range.
        TypeError: If the class takes no argument of that name.
    """
    name = PRESET_CLASSES.get(name, name)
    cls = _named(name)
    if issubclass(cls, Wrapper) and "weighter" not in arguments:
        raise ValueError(
            f"{cls.__name__} goes around another weighter. Pass one: "
            f"{cls.__name__}('slaw', ...)."
        )
    return cls(**{**PRESETS.get(name, {}), **arguments})


def serialize(weighter: Weighter) -> dict:
    """Returns the config dict of a weighter, without its state.

    Example:

    >>> serialize(SLAW(momentum=0.5))["config"]["momentum"]
    0.5

    Args:
        weighter: A `Weighter`.
    """
    config = cast(dict, saving.serialize_keras_object(weighter))
    config.pop("build_config", None)
    return config


def deserialize(config: dict, custom_objects: dict | None = None) -> Weighter:
    """Returns the weighter of a config dict.

    Example:

    >>> config = {"class_name": "slaw", "config": {"momentum": 0.5}}
    >>> deserialize(config).momentum
    0.5

    Args:
        config: Dict with `class_name` (of the class, or a name that `get`
            takes) and `config`.
        custom_objects: Dict from class name to class, for classes that are
            not registered.

    Returns:
        A `Weighter`.

    Raises:
        ValueError: If the config does not describe a weighter.
    """
    name = class_name_of("A weighter", config)
    name = PRESET_CLASSES.get(name, name)
    preset = {}
    if "module" not in config and name not in (custom_objects or {}):
        cls = _named(name)
        preset = PRESETS.get(name, {})
    else:
        cls = _registered(config.get("registered_name") or name, custom_objects)
    with (
        fitting(cls.__name__, config),
        saving.custom_object_scope(custom_objects or {}),
    ):
        return cls.from_config({**preset, **(config.get("config") or {})})


def _registered(name, custom_objects):
    known = isinstance(name, str)
    cls = saving.get_registered_object(name, custom_objects) if known else None
    if cls is None:
        raise ValueError(
            f"The weighter class {name!r} is not registered. Decorate it with "
            "@keras.saving.register_keras_serializable(), or pass "
            "custom_objects."
        )
    if not (isinstance(cls, type) and issubclass(cls, Weighter)):
        raise ValueError(f"The config describes {cls!r}, not a weighter.")
    return cls


def _named(name):
    known = CATALOGUE | WRAPPERS
    names = {cls.__name__: cls for cls in known.values()}
    names |= known | {a: CATALOGUE[target] for a, target in ALIASES.items()}
    if name not in names:
        raise ValueError(
            f"Unknown weighter {name!r}.{did_you_mean(name, names)} "
            "'keras-mtl list' shows all."
        )
    return names[name]


__all__ = [
    "ALIASES",
    "CATALOGUE",
    "PRESETS",
    "WRAPPERS",
    "GradientWeighter",
    "GroupDRO",
    "Weighter",
    "Wrapper",
    "deserialize",
    "get",
    "make",
    "serialize",
    # pyright: ignore[reportUnsupportedDunderAll]
    *(cls.__name__ for cls in (CATALOGUE | WRAPPERS).values()),
]
