"""What a weighter declares that it measures."""

from typing import NamedTuple

from keras_mtl.signals import SIGNALS, resolve_scope


class Declaration(NamedTuple):
    """The signals of a weighter.

    Args:
        signals: Set of names.
        gradients: The same, those that are made of gradients.
        scope: String, whose gradients, or `None`.
        forward_passes: Integer, how many a step takes: one, and one more for a
            query batch, or for the batch itself at the new parameters.
    """

    signals: frozenset[str]
    gradients: frozenset[str]
    scope: str | None
    forward_passes: int


def declaration(weighter, common=True) -> Declaration:
    """Returns the signals of a weighter.

    Args:
        weighter: `Weighter`.
        common: Boolean, whether all tasks have one representation in common.
    """
    signals = frozenset((*weighter.needs, *weighter.observes))
    batches = frozenset({"support"}).union(
        *(SIGNALS[name].batches for name in signals)
    )
    return Declaration(
        signals,
        frozenset(s for s in signals if SIGNALS[s].of_gradients),
        resolve_scope(weighter, common),
        len(batches),
    )
