"""The weighters as rows of a table."""

import inspect
import re
from typing import NamedTuple

from keras_mtl.signals import SIGNALS
from keras_mtl.weighters import ALIASES, CATALOGUE


class CatalogueRow(NamedTuple):
    """One weighter.

    Attributes:
        names: Tuple of strings, its name and then its aliases.
        signals: Tuple of strings, those that it needs.
        cost: String, the work that these take beyond the uniform step.
        papers: Tuple of `(title, address)`.
    """

    names: tuple
    signals: tuple
    cost: str
    papers: tuple


def catalogue_rows():
    """Returns a `CatalogueRow` for every weighter."""
    return [_row(name, cls) for name, cls in CATALOGUE.items()]


def _row(name, cls):
    weighter = cls()
    # Every weighter is told which tasks are present.
    signals = dict.fromkeys((*weighter.needs, *weighter.observes))
    signals.pop("present", None)
    costs = dict.fromkeys(SIGNALS[signal].cost for signal in signals)
    costs.pop("none", None)
    aliases = [alias for alias, target in ALIASES.items() if target == name]
    return CatalogueRow(
        (name, *aliases),
        tuple(signals),
        "; ".join(costs) or "none",
        _papers(cls),
    )


def _papers(cls):
    _, _, reference = (inspect.getdoc(cls) or "").partition("Reference:")
    links = re.findall(r"\[([^\]]+)\]\(\s*([^)\s]+)\s*\)", reference)
    return tuple((" ".join(title.split()), link) for title, link in links)
