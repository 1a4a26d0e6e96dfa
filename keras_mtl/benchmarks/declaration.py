"""What a weighter declares that it measures."""

from typing import NamedTuple

from keras_mtl.signals import SIGNALS, reads_query, resolve_scope


class Declaration(NamedTuple):
    """The signals of a weighter.

    Args:
        signals: Set of names.
        gradients: The same, those that are made of gradients.
        scope: String, whose gradients, or `None`.
        reads_query: Boolean, whether it reads a query batch.
    """

    signals: frozenset[str]
    gradients: frozenset[str]
    scope: str | None
    reads_query: bool


def declaration(weighter, common=True) -> Declaration:
    """Returns the signals of a weighter.

    Args:
        weighter: `Weighter`.
        common: Boolean, whether all tasks have one representation in common.
    """
    signals = frozenset((*weighter.needs, *weighter.observes))
    return Declaration(
        signals,
        frozenset(s for s in signals if SIGNALS[s].of_gradients),
        resolve_scope(weighter, common),
        reads_query(weighter),
    )
